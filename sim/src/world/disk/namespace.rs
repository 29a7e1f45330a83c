//! Which path is which file: what the cache says, what is durable, and the journal between the two.

use std::collections::BTreeMap;

/// One change of a directory.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Create {
        path: String,
        inode: usize,
    },
    Remove {
        path: String,
    },
    Rename {
        from: String,
        to: String,
        inode: usize,
    },
    /// A whole new file under this path, complete before it is visible.
    Replace {
        path: String,
        inode: usize,
    },
}

impl Change {
    /// The directory whose sync makes it durable: a rename's is the one it moves to.
    fn directory(&self) -> &str {
        let path = match self {
            Change::Create { path, .. } | Change::Remove { path } | Change::Replace { path, .. } => path,
            Change::Rename { to, .. } => to,
        };
        parent(path)
    }

    pub(super) fn apply(&self, to_map: &mut BTreeMap<String, usize>) {
        match self {
            Change::Create { path, inode } | Change::Replace { path, inode } => {
                to_map.insert(path.clone(), *inode);
            }
            Change::Remove { path } => {
                to_map.remove(path);
            }
            Change::Rename { from, to, inode } => {
                if to_map.get(from) == Some(inode) {
                    to_map.remove(from);
                }
                to_map.insert(to.clone(), *inode);
            }
        }
    }
}

/// The directory part of a path; the root is `""`.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Cached and durable names.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub(super) cached: BTreeMap<String, usize>,
    pub(super) durable: BTreeMap<String, usize>,
    /// Not yet durable, oldest first, numbered.
    pub(super) journal: Vec<(u64, Change)>,
    changes: u64,
}

impl Namespace {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.cached);
        self.changes += 1;
        self.journal.push((self.changes, change));
    }

    /// Number of the latest change.
    pub(super) fn latest(&self) -> u64 {
        self.changes
    }

    /// Changes of this directory up to number `upto` are durable.
    pub(super) fn synced(&mut self, directory: &str, upto: u64) {
        let durable = &mut self.durable;
        self.journal.retain(|(number, change)| {
            let is_covered = *number <= upto && change.directory() == directory;
            if is_covered {
                change.apply(durable);
            }
            !is_covered
        });
    }

    /// Does any name, past or present, still lead to this file?
    pub(super) fn is_named(&self, inode: usize) -> bool {
        let names = |map: &BTreeMap<String, usize>| map.values().any(|&named| named == inode);
        names(&self.cached)
            || names(&self.durable)
            || self.journal.iter().any(|(_, change)| match change {
                Change::Create { inode: named, .. }
                | Change::Rename { inode: named, .. }
                | Change::Replace { inode: named, .. } => *named == inode,
                Change::Remove { .. } => false,
            })
    }

    /// Names directly in `directory`, sorted.
    pub(super) fn list(&self, directory: &str) -> Vec<String> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let mut names: Vec<String> = self
            .cached
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .filter_map(|(path, _)| path[prefix.len()..].split('/').next().map(str::to_owned))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &str, inode: usize) -> Change {
        Change::Create { path: path.to_owned(), inode }
    }

    #[test]
    fn lists_files_and_directories_of_one_level() {
        let mut names = Namespace::default();
        for (i, path) in ["a/x", "a.b", "a/y/z", "meta"].into_iter().enumerate() {
            names.change(create(path, i));
        }
        assert_eq!(names.list(""), ["a", "a.b", "meta"]);
        assert_eq!(names.list("a"), ["x", "y"]);
        assert!(names.list("nothing").is_empty());
    }

    #[test]
    fn a_directory_sync_covers_earlier_changes_of_its_directory_only() {
        let mut names = Namespace::default();
        names.change(create("a/1", 1));
        names.change(create("b/1", 2));
        let upto = names.latest();
        names.change(create("a/2", 3));
        names.synced("a", upto);
        assert_eq!(names.durable.keys().collect::<Vec<_>>(), ["a/1"]);
        assert_eq!(names.journal.len(), 2);
    }
}
