//! `kafkasim museum`: is the judge any good? Every historic defect is planted and must be caught.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use broker::defects::Defect;
use reports::model::{MuseumPiece, MuseumReport, Outcome as Word};
use scenarios::load::Overrides;
use scenarios::shipped::{self, ScenarioFile};

use super::args::{Format, MuseumArgs};
use super::screen::Screen;
use super::stopwatch::Stopwatch;
use super::{Exit, Failure, interrupt, select};
use crate::plan::Plan;
use crate::report::Origin;
use crate::run::{Campaign, RunOptions, Stage, campaign, median, simulate, suite};

/// The variant of a directed scenario that has the defect switched off.
const CONTROL: &str = "control";
/// A defect that the first campaigns do not reach is given up: the others would say the same for much CPU time.
const TRIAL: u64 = 3;
/// Campaigns do not share seeds.
const SEEDS_APART: u64 = 1_000_000;

/// Plants every defect that was asked for and prints what came of it.
pub fn museum(args: &MuseumArgs, screen: &Screen) -> Result<Exit, Failure> {
    let is_wanted = |defect: &Defect| match &args.only {
        None => true,
        Some(only) => {
            defect.name().contains(only.as_str())
                || defect.id().to_lowercase().starts_with(&only.to_lowercase())
        }
    };
    let defects: Vec<Defect> = Defect::ALL.iter().copied().filter(is_wanted).collect();
    if defects.is_empty() {
        let sentence = "nothing selected: `kafkasim list defects` shows ids and names".to_owned();
        return Err(Failure::new(Exit::NothingSelected, sentence));
    }
    let museum = Museum {
        files: shipped::files(&Path::new(select::SHIPPED).join("museum"))?,
        args,
        interrupted: interrupt::listen(),
    };
    let mut pieces = Vec::new();
    for defect in defects {
        eprintln!("kafkasim: {} {}", defect.id(), defect.name());
        pieces.push(museum.piece(defect)?);
        if museum.is_interrupted() {
            eprintln!("kafkasim: interrupted");
            return Ok(Exit::Interrupted);
        }
    }
    let report = MuseumReport::new(args.campaigns, args.seed_limit, pieces);
    match args.format {
        Format::Json => screen.print_document(&report)?,
        Format::Human => screen.print(&reports::render::museum(&report, &screen.style))?,
    };
    let is_whole = report.caught() == report.pieces.len();
    Ok(if is_whole { Exit::AsExpected } else { Exit::Unexpected })
}

/// The shipped directory, and how much is asked for.
struct Museum<'a> {
    files: Vec<ScenarioFile>,
    args: &'a MuseumArgs,
    interrupted: &'static AtomicBool,
}

impl Museum<'_> {
    fn is_interrupted(&self) -> bool {
        self.interrupted.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Everything about one defect.
    fn piece(&self, defect: Defect) -> Result<MuseumPiece, Failure> {
        let mut piece = MuseumPiece {
            defect: defect.id().to_owned(),
            name: defect.name().to_owned(),
            ..MuseumPiece::default()
        };
        let directed = self.files.iter().find(|file| is_piece(&file.name, defect));
        if let Some(file) = directed {
            piece.scenario = Some(format!("museum/{}", file.name));
            let origin = select::load(&file.path, &Overrides::default())?;
            piece.first_check.clone_from(&origin.parsed.scenario.expect.check);
            let control = Overrides { variant: Some(CONTROL.to_owned()), set: Vec::new() };
            piece.directed_red = self.is_as_expected(&origin)?;
            piece.control_green = self.is_as_expected(&select::load(&file.path, &control)?)?;
        }
        if self.args.campaigns > 0 && !self.is_interrupted() {
            self.reach(defect, &mut piece)?;
        }
        Ok(piece)
    }

    /// Is a scenario as expected on every seed?
    fn is_as_expected(&self, origin: &Origin) -> Result<bool, Failure> {
        let plans =
            self.args.seeds.seeds().map(|seed| select::plan(origin, seed)).collect::<Result<Vec<_>, _>>()?;
        let run = |index: usize| {
            let conclusion = simulate(&plans[index], &Stage::kafka(), RunOptions::default()).conclusion;
            conclusion.outcome == Word::AsExpected && conclusion.exit_code == 0
        };
        let results = suite::spread(plans.len(), self.args.jobs, self.interrupted, run);
        Ok(results.into_iter().all(|is_right| is_right == Some(true)))
    }

    /// Campaigns of random faults with the defect on.
    fn reach(&self, defect: Defect, piece: &mut MuseumPiece) -> Result<(), Failure> {
        let path = Path::new(select::SHIPPED).join(format!("museum/swarm-{}.toml", family(defect)));
        let planted = ("defects".to_owned(), format!("[\"{}\"]", defect.id()));
        let origin = Arc::new(select::load(&path, &Overrides { variant: None, set: vec![planted] })?);
        select::plan(&origin, 1)?;
        let clock = Stopwatch::start();
        let mut campaigns = self.campaigns(&origin, 0..TRIAL.min(self.args.campaigns));
        if campaigns.iter().any(|campaign| campaign.red_by.is_some()) {
            campaigns.extend(self.campaigns(&origin, TRIAL..self.args.campaigns));
        }
        summarise(&campaigns, clock.cpu_us(), piece);
        Ok(())
    }

    fn campaigns(&self, origin: &Origin, numbers: std::ops::Range<u64>) -> Vec<Campaign> {
        let first = numbers.start;
        let run = |index: usize| {
            let from = (first + index as u64) * SEEDS_APART + 1;
            // The first plan was drawn before: a scenario that cannot be planned was refused there.
            let plans =
                (from..from + self.args.seed_limit).filter_map(|seed| select::plan(origin, seed).ok());
            campaign(plans.take_while(|_: &Plan| !self.is_interrupted()), &Stage::kafka())
        };
        let count = numbers.end.saturating_sub(first) as usize;
        suite::spread(count, self.args.jobs, self.interrupted, run).into_iter().flatten().collect()
    }
}

/// Is this file the directed scenario of the defect: `R06-no-maximal-isr`?
fn is_piece(file: &str, defect: Defect) -> bool {
    file.split_once('-').is_some_and(|(id, _)| id.eq_ignore_ascii_case(defect.id()))
}

/// The swarm file with the random faults that can reach it: of the metadata quorum, or of what is replicated by it.
fn family(defect: Defect) -> &'static str {
    if defect.id() < "K12" && defect.id().starts_with('K') { "quorum" } else { "replication" }
}

fn summarise(campaigns: &[Campaign], cpu_us: u64, piece: &mut MuseumPiece) {
    let events: u64 = campaigns.iter().map(|campaign| campaign.events).sum();
    let is_red = |campaign: &&Campaign| campaign.red_by.is_some();
    piece.campaigns_run = campaigns.len() as u64;
    piece.campaigns_red = campaigns.iter().filter(is_red).count() as u64;
    piece.seeds_to_red_median =
        median(campaigns.iter().map(|campaign| campaign.red_by.is_some().then_some(campaign.seeds)));
    let to_red =
        median(campaigns.iter().map(|campaign| campaign.red_by.is_some().then_some(campaign.events)));
    let cpu_ms = |red: u64| (u128::from(red) * u128::from(cpu_us) / u128::from(events.max(1)) / 1_000) as f64;
    piece.cpu_s_to_red_median = to_red.map(|red| cpu_ms(red) / 1_000.0);
    let mut firsts: Vec<&String> = campaigns.iter().filter_map(|campaign| campaign.red_by.as_ref()).collect();
    firsts.sort();
    let most = firsts.chunk_by(|a, b| a == b).max_by_key(|same| same.len());
    if let Some(check) = most.and_then(|same| same.first()) {
        piece.first_check = Some((*check).clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_one_defect() {
        assert!(is_piece("R12b-fenced-last-known-leader", Defect::FencedLastKnownLeader));
        assert!(!is_piece("R12b-fenced-last-known-leader", Defect::UncleanBrokerStaysEligible));
        assert!(!is_piece("swarm-quorum", Defect::VoteNotDurable));
    }

    #[test]
    fn families() {
        assert_eq!(family(Defect::TruncateToHighWatermark), "replication");
        assert_eq!(family(Defect::FetchOfNonVoterRefused), "quorum");
        assert_eq!(family(Defect::ConcurrentVoterChanges), "quorum");
        assert_eq!(family(Defect::RegisterWithoutFencing), "replication");
    }

    #[test]
    fn cpu_time_is_shared_out_by_events() {
        let campaign =
            |seeds, events, red: Option<&str>| Campaign { seeds, events, red_by: red.map(str::to_owned) };
        let campaigns = [
            campaign(2, 100, Some("b")),
            campaign(9, 600, None),
            campaign(4, 300, Some("a")),
            campaign(3, 200, Some("a")),
        ];
        let mut piece = MuseumPiece::default();
        summarise(&campaigns, 12_000_000, &mut piece);
        assert_eq!((piece.campaigns_red, piece.campaigns_run), (3, 4));
        assert_eq!((piece.seeds_to_red_median, piece.cpu_s_to_red_median), (Some(4), Some(3.0)));
        assert_eq!(piece.first_check.as_deref(), Some("a"));
    }
}
