//! Asking the index: nights with the newest verdicts of their runs, figures over nights, runs.

use std::collections::BTreeMap;

use checkers::Fold;
use chrono::NaiveDate;
use rusqlite::{Result, params};

use super::{Index, State};
use crate::error::CampaignError;
use crate::facts::{Facts, Metric, median};
use crate::night::{Night, Outcome};
use crate::trend::{Point, Series};

/// Which nights belong together: those of one suite on one lab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whose {
    /// The suite.
    pub suite: String,
    /// The lab.
    pub lab: String,
}

/// A run that the index knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRun {
    /// Its directory's name.
    pub name: String,
    /// The plan.
    pub plan: String,
    /// The verdict.
    pub verdict: Fold,
    /// The verdict that its plan has to end with, where it says so.
    pub wanted: Option<Fold>,
    /// What is left of it.
    pub state: State,
    /// Bytes that it takes.
    pub bytes: u64,
}

impl Index {
    /// Suites and labs that have nights, the one with the newest night first.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn whose(&self) -> std::result::Result<Vec<Whose>, CampaignError> {
        let sql = "SELECT suite, lab FROM night GROUP BY suite, lab ORDER BY max(started) DESC";
        let ask = || -> Result<Vec<Whose>> {
            let mut ask = self.db.prepare(sql)?;
            let rows = ask.query_map([], |row| {
                Ok(Whose {
                    suite: row.get(0)?,
                    lab: row.get(1)?,
                })
            })?;
            rows.collect()
        };
        ask().map_err(|why| self.wrong(&why))
    }

    /// The newest nights, oldest of them first. A run that was judged again is told as its newest
    /// verdict says.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn nights(
        &self,
        whose: &Whose,
        newest: usize,
    ) -> std::result::Result<Vec<Night>, CampaignError> {
        let sql = "SELECT body FROM night WHERE suite = ?1 AND lab = ?2
                   ORDER BY started DESC, name DESC LIMIT ?3";
        let ask = || -> Result<Vec<String>> {
            let mut ask = self.db.prepare(sql)?;
            let newest = i64::try_from(newest).unwrap_or(i64::MAX);
            let rows = ask.query_map(params![whose.suite, whose.lab, newest], |row| row.get(0))?;
            rows.collect()
        };
        let bodies = ask().map_err(|why| self.wrong(&why))?;
        let mut nights = Vec::with_capacity(bodies.len());
        for body in bodies.iter().rev() {
            let mut night: Night = serde_json::from_str(body).map_err(|why| self.wrong(&why))?;
            self.judged_again(&mut night)?;
            nights.push(night);
        }
        Ok(nights)
    }

    fn judged_again(&self, night: &mut Night) -> std::result::Result<(), CampaignError> {
        for attempt in night
            .entries
            .iter_mut()
            .flat_map(|entry| &mut entry.attempts)
        {
            let (Some(run), Outcome::Judged(facts)) = (&attempt.run, &mut attempt.outcome) else {
                continue;
            };
            let ask = || -> Result<String> {
                let sql = "SELECT facts FROM run WHERE name = ?1";
                self.db
                    .prepare_cached(sql)?
                    .query_row([run], |row| row.get(0))
            };
            let text = ask().map_err(|why| self.wrong(&why))?;
            let newest: Facts = serde_json::from_str(&text).map_err(|why| self.wrong(&why))?;
            **facts = newest;
        }
        Ok(())
    }

    /// Figures over nights, one series per plan, metric and kind of fault; of a night's runs the
    /// median. Void nights and canaries have no say.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn series(&self, whose: &Whose) -> std::result::Result<Vec<Series>, CampaignError> {
        type Key = (String, Metric, Option<String>);
        let sql = "SELECT plan, metric, fault, night, date, kafka, tidemark, value FROM figure
                   WHERE suite = ?1 AND lab = ?2 AND role <> 'canary' ORDER BY date, night";
        let ask = || -> Result<Vec<(Key, Point)>> {
            let mut ask = self.db.prepare(sql)?;
            let mut rows = ask.query(params![whose.suite, whose.lab])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let date: String = row.get(4)?;
                let metric: String = row.get(1)?;
                let (Some(metric), Ok(date)) = (Metric::named(&metric), date.parse::<NaiveDate>())
                else {
                    continue;
                };
                let point = Point {
                    night: row.get(3)?,
                    date,
                    value: row.get(7)?,
                    kafka: row.get(5)?,
                    tidemark: row.get(6)?,
                };
                found.push(((row.get(0)?, metric, row.get(2)?), point));
            }
            Ok(found)
        };
        let mut all: BTreeMap<Key, BTreeMap<(NaiveDate, String), Vec<Point>>> = BTreeMap::new();
        for (key, point) in ask().map_err(|why| self.wrong(&why))? {
            let nights = all.entry(key).or_default();
            let night = (point.date, point.night.clone());
            nights.entry(night).or_default().push(point);
        }
        let series = all
            .into_iter()
            .map(|((plan, metric, fault), nights)| Series {
                plan,
                metric,
                fault,
                points: nights.into_values().filter_map(one_point).collect(),
            });
        Ok(series.collect())
    }

    /// All runs that are known, by name.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn runs(&self) -> std::result::Result<Vec<KnownRun>, CampaignError> {
        let ask = || -> Result<Vec<KnownRun>> {
            let sql = "SELECT name, plan, verdict, state, bytes, wanted FROM run ORDER BY name";
            let mut ask = self.db.prepare(sql)?;
            let rows = ask.query_map([], |row| {
                let (verdict, state): (String, String) = (row.get(2)?, row.get(3)?);
                Ok(KnownRun {
                    name: row.get(0)?,
                    plan: row.get(1)?,
                    verdict: fold(&verdict),
                    wanted: row.get::<_, Option<String>>(5)?.as_deref().map(fold),
                    state: match state.as_str() {
                        "whole" => State::Whole,
                        "thinned" => State::Thinned,
                        _ => State::Deleted,
                    },
                    bytes: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
                })
            })?;
            rows.collect()
        };
        ask().map_err(|why| self.wrong(&why))
    }
}

fn fold(word: &str) -> Fold {
    match word {
        "held" => Fold::Held,
        "broken" => Fold::Broken,
        _ => Fold::Unproven,
    }
}

fn one_point(points: Vec<Point>) -> Option<Point> {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let value = median(&values)?;
    let first = points.into_iter().next()?;
    Some(Point { value, ..first })
}
