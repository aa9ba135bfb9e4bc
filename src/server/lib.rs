//! Floor 3: the doors. None stands yet: the machines and rooms beneath them come first.
#![forbid(unsafe_code)]
