//! How somebody logs in before the load of a trial.

use crate::endpoint::{Expect, Method};
use crate::server::EnvValue;
use crate::text::{Asked, Hole, Text};

/// `[login]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// How many people are logged in at once, at least one.
    pub sessions: u32,
    /// What fills holes of steps and endpoints, the same for all sessions.
    pub values: Vec<(String, EnvValue)>,
    /// What is asked, in order; at least one.
    pub steps: Vec<LoginStep>,
}

/// One request of a login.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginStep {
    /// How it is asked.
    pub method: Method,
    /// Path and query.
    pub path: Text,
    /// Further headers.
    pub headers: Vec<(String, Text)>,
    /// What is sent with it.
    pub body: Option<Text>,
    /// What makes the answer good.
    pub expect: Expect,
    /// What is taken out of the answer, by the name of the hole that it fills.
    pub extract: Vec<(String, Extractor)>,
}

/// Where a value stands in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extractor {
    /// In the body, between the first occurrence of a text and the next one of
    /// another.
    Between([String; 2]),
    /// In a header.
    Header(String),
    /// In a body of JSON, at this pointer (RFC 6901).
    Json(String),
    /// In a cookie that the session has now.
    Cookie(String),
}

impl LoginStep {
    /// What is asked.
    pub fn asked(&self) -> Asked<'_> {
        Asked {
            method: self.method,
            path: &self.path,
            headers: &self.headers,
            body: self.body.as_ref(),
        }
    }
}

impl Login {
    /// The tables that the steps use: their rows are the sessions' own.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        let holes = self.steps.iter().flat_map(|step| step.asked().holes());
        holes.filter_map(|hole| match hole {
            Hole::Column { table, .. } => Some(table.as_str()),
            Hole::Value(_) => None,
        })
    }

    /// What must reach neither store, log nor report.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let values = self.values.iter().filter_map(|(_, value)| match value {
            EnvValue::Secret(secret) => Some(secret.expose().as_str()),
            EnvValue::Text(_) | EnvValue::FromEnv { .. } => None,
        });
        let steps = self.steps.iter();
        values.chain(steps.flat_map(|step| step.asked().secrets()))
    }

    /// Takes the values that come from the environment out of it.
    ///
    /// # Errors
    /// The name of a variable that is not there.
    pub fn resolve<'e>(
        mut self,
        variable: impl Fn(&str) -> Option<&'e str>,
    ) -> Result<Self, String> {
        let mut values = self.values.iter_mut();
        values.try_for_each(|(_, value)| value.take(&variable))?;
        for step in &mut self.steps {
            let headers = step.headers.iter_mut().map(|(_, value)| value);
            for text in headers.chain(&mut step.body) {
                text.take(&variable)?;
            }
        }
        Ok(self)
    }
}
