//! Registries on loopback with injectable faults and registry quirks, for people and for tests.

pub mod conformance;
