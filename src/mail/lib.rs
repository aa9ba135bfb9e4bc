//! Floor 2: the mail itself. So far `policy`: who may have mail passed on.
#![forbid(unsafe_code)]

pub mod policy;
