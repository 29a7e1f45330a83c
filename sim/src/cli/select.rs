//! From a name on the command line to a scenario and a plan.

use std::path::{Path, PathBuf};

use scenarios::load::Overrides;
use scenarios::shipped;

use super::{Exit, Failure};
use crate::plan::Plan;
use crate::report::Origin;
use crate::seed::Seed;

/// Where shipped scenarios are, below the working directory.
pub const SHIPPED: &str = "scenarios";

/// The seed of a run that names none, nor does its scenario.
const DEFAULT_SEED: u64 = 1;

/// Finds and reads the scenario that is meant, with variant and overrides applied.
pub fn scenario(name: &str, variant: Option<&str>, set: &[String]) -> Result<Origin, Failure> {
    let set = set.iter().map(|text| pair(text)).collect::<Result<Vec<_>, _>>()?;
    let path = match shipped::find(Path::new(SHIPPED), name) {
        Err(shipped::FindError::Io(_)) => {
            let sentence =
                format!("there is no file `{name}` and no directory `{SHIPPED}` here to look for it");
            return Err(Failure::new(Exit::Io, sentence));
        }
        found => found?,
    };
    let overrides = Overrides { variant: variant.map(str::to_owned), set };
    load(&path, &overrides)
}

/// Reads the scenario file at `path`.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Origin, Failure> {
    Ok(Origin::new(scenarios::load::load_with(path, overrides)?, &directory()?))
}

/// The working directory: reports tell paths relative to it.
pub fn directory() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Io, format!("failed to find the working directory: {error}")))
}

fn pair(text: &str) -> Result<(String, String), Failure> {
    let (path, value) =
        text.split_once('=').filter(|(path, _)| !path.trim().is_empty()).ok_or_else(|| {
            let help = "expected PATH=VALUE, such as topic.orders.config.min.insync.replicas=1";
            Failure::new(Exit::Usage, format!("--set {text}: {help}"))
        })?;
    Ok((path.trim().to_owned(), value.trim().to_owned()))
}

/// The seed if none is given: the scenario's own, else 1.
pub fn own_seed(origin: &Origin) -> u64 {
    origin.parsed.scenario.seed.unwrap_or(DEFAULT_SEED)
}

/// The plan of a scenario and a seed.
pub fn plan(origin: &Origin, seed: u64) -> Result<Plan, Failure> {
    Plan::draw(&origin.parsed, Seed(seed)).map_err(|error| Failure::plan(&origin.path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(pair("a.b=c=d").unwrap(), ("a.b".to_owned(), "c=d".to_owned()));
        assert_eq!(pair("a.b").unwrap_err().exit, Exit::Usage);
        assert_eq!(pair("=b").unwrap_err().exit, Exit::Usage);
    }
}
