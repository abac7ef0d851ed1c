//! A journal of the study in `journal.toml`. What is accepted is accepted again with the same outcome, and also with its
//! last line torn off anywhere; everything that is shown of a study can be computed.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use admire::advice;
use admire::config::StudyConfig;
use admire::study::{Study, StudyError, journal};
use libfuzzer_sys::fuzz_target;

static CONFIG: LazyLock<StudyConfig> =
    LazyLock::new(|| StudyConfig::parse(Path::new("journal.toml"), include_str!("../journal.toml"), &[]).unwrap());

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(study)) = read(bytes) else { return };
    let again = read(bytes).unwrap().unwrap();
    assert_eq!(study.trials(), again.trials());
    assert_eq!((study.model(), study.stopped()), (again.model(), again.stopped()));

    // Whole lines before the last one, and half of the last one.
    let end = bytes.iter().rposition(|b| *b == b'\n').unwrap();
    let start = bytes[..end].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    for torn in [start, start + (end - start) / 2, end] {
        let before = read(&bytes[..torn]).expect("a torn line is no damage");
        assert_eq!(before.is_none(), bytes[..start].trim_ascii().is_empty());
    }

    let (costs, spent) = (study.costs(), study.spent());
    // Sums of huge costs may be infinite.
    assert!(costs.iter().all(|c| *c > 0.0), "{costs:?}");
    assert!(spent.cost >= 0.0, "{spent:?}");
    let evidence = study.evidence();
    // What is withdrawn or cancelled is none.
    let complete = study.trials().iter().filter(|trial| trial.outcome().is_some()).count();
    assert!(evidence.observations.len() <= complete + study.imported().count());
    if study.model().is_some() && evidence.observations.len() <= 8 {
        let points = [(study.config().space.uniform(), study.config().fidelities.target())];
        if let Some(predictions) = advice::optimizer(&study).predict(&evidence, &points) {
            assert!(predictions.iter().all(|p| p.mean.is_finite() && p.sd >= 0.0), "{predictions:?}");
        }
    }
});

fn read(bytes: &[u8]) -> Result<Option<Study>, StudyError> {
    let contents = journal::parse("journal.jsonl".into(), bytes.to_vec())?;
    contents.map(|contents| Study::from_journal(CONFIG.clone(), &contents)).transpose()
}
