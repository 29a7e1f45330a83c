//! Which disk this is: the `directory.id` of `meta.properties` (KIP-858, KIP-853).

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ids::Uuid;
use crate::io::{Disk, DiskError, SyncToken};

const PATH: &str = "meta.properties";
/// Tells this draw from those of other components with the same seed ("disk" in ASCII).
const STREAM: u64 = 0x6469_736b;

/// The id of a node's disk.
///
/// Differs from Kafka: drawn at the first boot instead of by `kafka-storage.sh format`.
#[derive(Debug)]
pub struct Directory {
    /// The id.
    pub id: Uuid,
    writing: Option<SyncToken>,
}

impl Directory {
    /// Reads the id, or draws one, and writes it: what was read may be page cache that a crash left unsynced.
    /// Errors: the disk's.
    pub fn open(seed: u64, disk: &mut dyn Disk) -> Result<Directory, DiskError> {
        let found = disk.read_file(PATH)?.and_then(|bytes| parse(std::str::from_utf8(&bytes).ok()?));
        let id = found.unwrap_or_else(|| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(STREAM);
            let mut bytes = [0; 16];
            rng.fill_bytes(&mut bytes);
            Uuid::from_bytes(bytes)
        });
        let writing = Some(disk.replace(PATH, format!("version=1\ndirectory.id={id}\n").into())?);
        Ok(Directory { id, writing })
    }

    /// Is it being written? A node whose id is not durable must not promise anything: it may have another one later.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Takes the completion of the write; false if the token is not its own.
    pub fn on_synced(&mut self, token: SyncToken) -> bool {
        self.writing.take_if(|mine| *mine == token).is_some()
    }
}

fn parse(text: &str) -> Option<Uuid> {
    text.lines().find_map(|line| line.strip_prefix("directory.id="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::MemoryDisk;

    #[test]
    fn a_disk_keeps_its_id_and_another_disk_has_another() {
        let mut disk = MemoryDisk::new();
        let first = Directory::open(1, &mut disk).unwrap();
        assert_eq!(Directory::open(2, &mut disk).unwrap().id, first.id);
        assert_ne!(Directory::open(2, &mut MemoryDisk::new()).unwrap().id, first.id);
        disk.replace(PATH, "version=1\n".into()).unwrap();
        assert_ne!(Directory::open(2, &mut disk).unwrap().id, first.id);
    }
}
