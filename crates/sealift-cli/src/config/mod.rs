//! Where settings come from: flags first, then the environment, then files.

pub(crate) mod environment;
mod file;
mod origin;

pub(crate) use environment::Environment;
pub(crate) use file::Settings;
pub(crate) use origin::Origin;
