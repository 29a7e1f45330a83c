//! What kind of thing changed.

/// What kind of thing changed: a set of bits, so that a condition is looked at only when it can have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change(u8);

impl Change {
    /// Nothing.
    pub const NONE: Change = Change(0);
    /// Leaders, ISRs, fencing, the controller.
    pub const METADATA: Change = Change(1);
    /// Ends and high watermarks of logs.
    pub const OFFSETS: Change = Change(2);
    /// Acknowledged records, and what clients wait for.
    pub const CLIENTS: Change = Change(4);
    /// Machines and faults.
    pub const HOSTS: Change = Change(8);
    /// World time passed a mark.
    pub const TIME: Change = Change(16);
    /// Everything.
    pub const ALL: Change = Change(31);

    /// Both.
    pub fn and(self, other: Change) -> Change {
        Change(self.0 | other.0)
    }

    /// Do they share anything?
    pub fn touches(self, other: Change) -> bool {
        self.0 & other.0 != 0
    }
}
