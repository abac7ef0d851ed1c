//! How a study is read, begun and gone on with.

use std::ops::Deref;
use std::sync::OnceLock;
use std::time::Duration;

use super::state::{Misfit, State};
use super::{Change, Changes, Entry, Event, Header, Resumed, Sizes, Study, StudyError, Trial, journal};
use crate::config::StudyConfig;
use crate::problem::Metric;
use crate::text::counted;

/// A study whose journal is open for writing: what can be asked of a [`Study`], and recording.
#[derive(Debug)]
pub struct OpenStudy {
    study: Study,
    writer: journal::Writer,
}

impl Deref for OpenStudy {
    type Target = Study;

    fn deref(&self) -> &Study {
        &self.study
    }
}

impl OpenStudy {
    /// Takes an event into account and returns once it is in the journal.
    ///
    /// # Errors
    /// [`StudyError::Io`], after which the study must not be used any more; an event that cannot follow the ones before
    /// is [`StudyError::Misfit`].
    pub fn record(&mut self, event: Event) -> Result<(), StudyError> {
        self.record_all(vec![event])
    }

    /// [`Self::record`] for several events at once, with one wait for the disk.
    pub(super) fn record_all(&mut self, events: Vec<Event>) -> Result<(), StudyError> {
        let entries: Vec<Entry> = events.into_iter().map(Entry::now).collect();
        // Applied first: what does not fit must not get into the file.
        entries.iter().try_for_each(|entry| self.study.take(entry))?;
        self.writer.append(&entries)
    }

    /// The study apart from its journal, for whoever takes an entry into account ([`Study::take`]) before the entry is
    /// appended, and does nothing because of it in between.
    pub(crate) fn split(&mut self) -> (&mut Study, &mut journal::Writer) {
        (&mut self.study, &mut self.writer)
    }
}

impl Study {
    /// Reads the study without the right to write to it: what comes of that cannot record.
    ///
    /// ```compile_fail,E0599
    /// # use admire::{config::StudyConfig, study::{Event, Study, StudyError}};
    /// fn record(config: StudyConfig, event: Event) -> Result<(), StudyError> {
    ///     Study::read(config)?.record(event)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`StudyError::Missing`], a journal that cannot be read, or a config that contradicts it.
    pub fn read(config: StudyConfig) -> Result<Self, StudyError> {
        // A torn last line is a writer at work as likely as a crash; the next writer knows, and says it.
        let contents = journal::read(&config.dir)?.ok_or_else(|| StudyError::Missing { dir: config.dir.clone() })?;
        Self::from_journal(config, &contents)
    }

    /// Like [`Self::read`], with what is in the journal given.
    ///
    /// # Errors
    /// An entry that cannot follow those before it, or a config that contradicts the journal.
    pub fn from_journal(config: StudyConfig, contents: &journal::Contents) -> Result<Self, StudyError> {
        let mut study = Self::empty(config);
        study.replay(contents)?;
        study.adopt()?;
        Ok(study)
    }

    /// Takes into account, in memory alone, what the config has that the journal does not know; returns which settings these are.
    pub(super) fn adopt(&mut self) -> Result<Changes, StudyError> {
        self.warn_of_lacking();
        let Some(resumed) = self.edited() else { return Ok(Changes::new()) };
        let changed = resumed.changed.clone();
        self.warn_of_sizes(&resumed);
        self.assume(Event::Resumed(resumed))?;
        Ok(changed)
    }

    /// Opens the study for writing, beginning it where there is none. Waits at most so long for another writer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use admire::{config::StudyConfig, study::{Event, Study, StudyError}};
    /// fn record(config: StudyConfig, event: Event) -> Result<(), StudyError> {
    ///     Study::open(config, Duration::ZERO)?.record(event)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`StudyError::Locked`], a journal that cannot be read or written, or a config that contradicts it.
    pub fn open(config: StudyConfig, wait: Duration) -> Result<OpenStudy, StudyError> {
        let lock = journal::Lock::take(&config.dir, wait)?;
        Self::locked(config, lock)
    }

    pub(super) fn locked(config: StudyConfig, lock: journal::Lock) -> Result<OpenStudy, StudyError> {
        let contents = journal::read(&config.dir)?;
        let mut study = Self::empty(config);
        if let Some(contents) = &contents {
            study.replay(contents)?;
            if contents.torn.is_some() {
                let text = "the last line of the journal was torn (a crash while writing) and is dropped";
                study.warnings.push(text.into());
            }
        }
        let writer = journal::Writer::open(&study.config.dir, lock, contents.as_ref())?;
        let mut open = OpenStudy { study, writer };
        if contents.is_none() {
            let header = Header::new(&open.config);
            open.record(Event::Study(header))?;
        }
        if let Some(resumed) = open.edited() {
            open.study.warn_of_sizes(&resumed);
            if !resumed.changed.is_empty() {
                let text: Vec<String> = resumed.changed.iter().map(|(key, change)| format!("{key} {change}")).collect();
                let text = format!("the config has changed, as the journal now says: {}", text.join(", "));
                open.study.warnings.push(text);
            }
            open.record(Event::Resumed(resumed))?;
        }
        Ok(open)
    }

    /// Reads the study for a dry run, or shows an empty one where there is none.
    ///
    /// # Errors
    /// Those of [`Self::read`], but for a missing study.
    pub fn peek(config: StudyConfig) -> Result<Self, StudyError> {
        match Self::read(config.clone()) {
            Err(StudyError::Missing { .. }) => Ok(Self::empty(config)),
            other => other,
        }
    }

    pub(super) fn empty(config: StudyConfig) -> Self {
        Self {
            config,
            state: State { unit: 1.0, ..State::default() },
            warnings: Vec::new(),
            what_ifs: Changes::new(),
            baseline: OnceLock::new(),
        }
    }

    /// Takes an event into account that is recorded nowhere, as of a dry run.
    ///
    /// # Errors
    /// [`StudyError::Misfit`] for an event that cannot follow the ones before.
    pub fn assume(&mut self, event: Event) -> Result<(), StudyError> {
        self.take(&Entry::now(event))
    }

    /// Takes an entry into account, in memory alone.
    pub(crate) fn take(&mut self, entry: &Entry) -> Result<(), StudyError> {
        self.baseline.take();
        let misfit = |misfit: Misfit| StudyError::Misfit { reason: misfit.to_string() };
        self.state.apply(&self.config, entry).map_err(misfit)
    }

    pub(super) fn replay(&mut self, contents: &journal::Contents) -> Result<(), StudyError> {
        for (line, entry) in contents.lines.iter().zip(contents.entries()?) {
            self.state.apply(&self.config, entry).map_err(|misfit| self.error(misfit, line.number))?;
        }
        Ok(())
    }

    /// An event of the journal that does not fit, as an error.
    pub(super) fn error(&self, misfit: Misfit, line: usize) -> StudyError {
        let dir = self.config.dir.clone();
        match misfit {
            Misfit::Changed(differences) => StudyError::Changed { config: self.config.path.clone(), dir, differences },
            Misfit::Damage(reason) => StudyError::Damaged { path: journal::path(&dir), line, reason },
        }
    }

    /// What the config has that the journal does not know yet, if anything.
    fn edited(&self) -> Option<Resumed> {
        let Header { sizes, settings, .. } = Header::new(&self.config);
        let (known, mut changed) = (&self.state.settings, Changes::new());
        for key in known.keys().chain(settings.keys()) {
            let (from, to) = (known.get(key), settings.get(key));
            if from != to && !known.is_empty() {
                changed.insert(key.clone(), Change { from: from.cloned(), to: to.cloned() });
            }
        }
        let settings = (known.is_empty() && !settings.is_empty()).then_some(settings);
        let sizes = (sizes != self.state.sizes).then_some(sizes);
        let news = sizes.is_some() || settings.is_some() || !changed.is_empty();
        news.then(|| Resumed { sizes, settings, changed, ..Resumed::unchanged() })
    }

    /// A guard may have been added that is about a metric which earlier trials did not report.
    fn warn_of_lacking(&mut self) {
        let lacks = |metric: &&Metric| {
            let outcomes = self.state.trials.iter().filter_map(Trial::outcome);
            outcomes.filter(|outcome| !outcome.metrics.contains_key(&metric.name)).count()
        };
        let metrics = self.config.objective.metrics.iter().map(|metric| (metric, lacks(&metric)));
        let warnings = metrics.filter(|(_, lacking)| *lacking > 0).map(|(Metric { name, .. }, lacking)| {
            let trials = counted(lacking, "complete trial");
            format!(
                "{trials} did not report `{name}`, which the config asks for: the model does not learn from such trials"
            )
        });
        self.warnings.extend(warnings.collect::<Vec<_>>());
    }

    /// Sizes are part of the surrogate's geometry: earlier trials stay true, what is concluded from them changes.
    fn warn_of_sizes(&mut self, resumed: &Resumed) {
        let known = &self.state.sizes;
        let now: Sizes = resumed.sizes.clone().unwrap_or_default();
        let changed = now.iter().filter(|(name, size)| known.get(*name).is_some_and(|was| was != *size));
        let changed: Vec<&str> = changed.map(|(name, _)| name.as_str()).collect();
        if !changed.is_empty() {
            self.warnings.push(format!(
                "params, tokens or cost of {} differ from the journal's; the model of all trials changes with them",
                changed.join(", ")
            ));
        }
    }
}
