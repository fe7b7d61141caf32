//! Tests of the public interface, one module a topic.

mod copy;
mod memory;
