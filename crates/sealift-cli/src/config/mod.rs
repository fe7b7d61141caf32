//! Where settings come from: flags first, then the environment.

pub(crate) mod environment;
mod origin;

pub(crate) use environment::Environment;
pub(crate) use origin::Origin;
