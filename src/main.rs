//! Arguments in, exit code out: everything else lives on the floors below.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {}
