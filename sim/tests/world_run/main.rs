//! Toy machines in a simulated world: what the driver, the network, the disks and the clocks promise.

mod lifecycle;
mod network;
mod storage;
mod support;
