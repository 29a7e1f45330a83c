//! What survives a power loss.

use bytes::{Bytes, BytesMut};
use rand::Rng;

use super::content::Content;
use super::namespace::Namespace;
use super::sim_disk::Inode;
use crate::seed::ChaCha8Rng;

/// The unit in which a disk writes. Source: ours (the classic sector).
const SECTOR: u64 = 512;

/// What a power loss cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lost {
    /// Bytes of files that were in the cache only and are gone or wrong.
    pub(crate) bytes: u64,
    /// Directory changes that did not happen after all.
    pub(crate) entries: u64,
}

/// Decides what is left, and makes cache and durable state the same again.
pub(super) fn strike(inodes: &mut [Option<Inode>], names: &mut Namespace, rng: &mut ChaCha8Rng) -> Lost {
    let mut lost = Lost::default();
    for inode in inodes.iter_mut().flatten() {
        let (content, bytes) = survivor(inode, rng);
        lost.bytes += bytes;
        inode.clean = content.len();
        inode.durable = content.clone();
        inode.cache = content;
    }
    for (_, change) in std::mem::take(&mut names.journal) {
        if rng.gen_range(0..2u32) == 0 {
            change.apply(&mut names.durable);
        } else {
            lost.entries += 1;
        }
    }
    names.cached = names.durable.clone();
    lost
}

/// One file's content after the loss, and how many cached bytes it lacks.
fn survivor(inode: &Inode, rng: &mut ChaCha8Rng) -> (Content, u64) {
    let (clean, end) = (inode.clean, inode.cache.len());
    if clean == end && inode.durable.len() == clean {
        return (inode.durable.clone(), 0);
    }
    let was_cut = inode.durable.len() > clean;
    if was_cut && rng.gen_range(0..2u32) == 0 {
        // The cut itself was not written back: the old file is still there, and nothing of the new tail.
        return (inode.durable.clone(), end - clean);
    }
    let kept = cut(inode, rng);
    let mut content = inode.cache.clone();
    content.truncate(kept);
    let holes = if kept > clean && rng.gen_range(0..4u32) == 0 { tear(&mut content, clean, rng) } else { 0 };
    (content, end - kept + holes)
}

/// Where the file ends: anywhere, at a sector, or between two appends.
fn cut(inode: &Inode, rng: &mut ChaCha8Rng) -> u64 {
    let (clean, end) = (inode.clean, inode.cache.len());
    let at = rng.gen_range(clean..=end);
    match rng.gen_range(0..4u32) {
        0 => at,
        1 => (at / SECTOR * SECTOR).max(clean),
        2 => {
            let mut borders = inode.cache.borders(clean + 1, end);
            borders.extend([clean, end]);
            borders[rng.gen_range(0..borders.len())]
        }
        _ if rng.gen_range(0..2u32) == 0 => clean,
        _ => end,
    }
}

/// Sectors are written back in any order: some are lost although later ones are there. Returns the bytes lost.
fn tear(content: &mut Content, clean: u64, rng: &mut ChaCha8Rng) -> u64 {
    let end = content.len();
    let mut torn = content.clone();
    torn.truncate(clean);
    let mut lost = 0;
    let mut at = clean;
    while at < end {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        if rng.gen_range(0..3u32) == 0 {
            torn.append(zeros((next - at) as usize));
            lost += next - at;
        } else {
            content.slices(at, next).for_each(|bytes| torn.append(bytes));
        }
        at = next;
    }
    *content = torn;
    lost
}

fn zeros(len: usize) -> Bytes {
    BytesMut::zeroed(len).freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn dirty(seed: u64) -> (Content, u64) {
        let mut cache = Content::whole(Bytes::from(vec![1; 1_000]));
        let durable = cache.clone();
        (0..20).for_each(|_| cache.append(Bytes::from(vec![2; 300])));
        let inode = Inode { cache, durable, clean: 1_000, ..Inode::default() };
        survivor(&inode, &mut Seed(seed).stream("test"))
    }

    #[test]
    fn what_was_durable_stays_and_what_was_dirty_is_kept_in_part() {
        let (mut partial, mut torn, mut whole, mut nothing) = (0, 0, 0, 0);
        for seed in 0..300 {
            let (content, lost) = dirty(seed);
            assert_eq!(content.read(0, 1_000), Bytes::from(vec![1; 1_000]));
            let tail = content.read(1_000, usize::MAX);
            let zeros = tail.iter().filter(|&&byte| byte == 0).count() as u64;
            assert_eq!(lost, 7_000 - content.len() + zeros);
            torn += u32::from(zeros > 0);
            whole += u32::from(lost == 0);
            nothing += u32::from(tail.is_empty());
            partial += u32::from(zeros == 0 && !tail.is_empty() && lost > 0);
        }
        assert!([partial, torn, whole, nothing].iter().all(|&n| n > 5), "{partial} {torn} {whole} {nothing}");
    }
}
