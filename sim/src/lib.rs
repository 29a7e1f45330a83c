//! The world and the judge.
#[cfg(not(madsim))]
compile_error!(
    "build with --cfg madsim: run cargo from inside the repository (its .cargo/config.toml sets it) and leave RUSTFLAGS unset"
);
