//! Logs somebody in: asks one step after the other, keeps cookies and values.
//! What is found in answers is told by `cookies` and `extract`.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use autotune_model::text::Row;
use autotune_model::{
    DataTable, EnvValue, Filling, Hole, Login, LoginSession, LoginStep, Secret, encodings,
};

use crate::check::{Body, CheckFailure, Problem, Whom};
use crate::cookies;
use crate::extract::{extract, place};
use crate::http::{Answer, Http, Question};
use crate::redact::Redactor;

/// Shorter values are no secrets, and taking them out would leave no log to read.
const LEAST_SECRET: usize = 4;

/// A login and the data that fills it.
#[derive(Clone, Copy, Debug)]
pub struct LoginPlan<'a> {
    /// The steps.
    pub login: &'a Login,
    /// The data files.
    pub data: &'a [DataTable],
}

/// How a login ended.
#[derive(Debug)]
pub struct LoginEnd {
    /// What the steps gave.
    pub session: LoginSession,
    /// What must reach neither store, log nor report; of a failed login, too.
    pub secrets: Vec<Secret<String>>,
    /// Why it ended early; free of these secrets.
    pub failure: Option<Box<CheckFailure>>,
}

impl Http {
    /// Logs in the session with this number, counted from 0. Every step may take
    /// as long as `timeout` says.
    pub async fn login(
        &self,
        address: SocketAddr,
        (plan, number): (LoginPlan<'_>, usize),
        timeout: Duration,
    ) -> LoginEnd {
        let LoginPlan { login, data } = plan;
        let mut session = plan.begin(number);
        let mut secrets = plan.secrets_of(&session);
        for (place, step) in (1..).zip(&login.steps) {
            let whom = Whom::Step {
                number: place,
                session: (login.sessions > 1).then_some(number + 1),
                method: step.method,
            };
            let filling = Filling {
                session: &session,
                data,
                row: Row::Question(number),
            };
            let result = match Question::of(step.asked(), &filling) {
                Ok(question) => Ok(self.ask(address, &question, timeout).await),
                Err(unfilled) => Err(Problem::Unfilled(unfilled)),
            };
            let now_s = now_s();
            let failure = match result {
                Ok(answer) => {
                    if let Ok(answer) = &answer {
                        take_cookies(&mut session, answer, now_s);
                        secrets.extend(secrets_in(answer, login));
                    }
                    take_values(step, answer, &mut session)
                }
                Err(problem) => Some((problem, None, None)),
            };
            secrets.extend(plan.secrets_of(&session));
            if let Some((problem, body, source)) = failure {
                let mut failure = CheckFailure {
                    whom,
                    path: step.path.to_string(),
                    problem,
                    excerpt: String::new(),
                    source,
                    body,
                };
                let known = secrets.iter().map(|secret| secret.expose().as_str());
                failure.clean(&Redactor::new(known));
                return LoginEnd {
                    session,
                    secrets,
                    failure: Some(Box::new(failure)),
                };
            }
        }
        LoginEnd {
            session,
            secrets,
            failure: None,
        }
    }
}

impl LoginPlan<'_> {
    /// The sessions to be logged in, by number.
    pub fn numbers(&self) -> std::ops::Range<usize> {
        0..self.login.sessions as usize
    }

    /// A session before its first step.
    pub fn begin(&self, number: usize) -> LoginSession {
        let values = self.login.values.iter();
        let value = |(name, value): &(String, EnvValue)| {
            let known = value.known().unwrap_or_default().to_owned();
            (name.clone(), Secret::new(known))
        };
        LoginSession {
            values: values.map(value).collect(),
            cookies: Vec::new(),
            rows: self
                .login
                .tables()
                .map(|table| (table.to_owned(), number))
                .collect(),
        }
    }

    /// What the session has that nobody may see: what it was given, what it got,
    /// and what its own rows fill into the steps; as it stands and encoded. Values
    /// that the grid file itself spells out are no secrets.
    fn secrets_of(&self, session: &LoginSession) -> Vec<Secret<String>> {
        let is_plain = |name: &str| {
            let mut values = self.login.values.iter();
            values.any(|(one, value)| one == name && matches!(value, EnvValue::Text(_)))
        };
        let values = session.values.iter();
        let values = values.filter(|(name, _)| !is_plain(name));
        let cookies = session.cookies.iter().map(|(_, value)| value);
        let got = values.map(|(_, value)| value).chain(cookies);
        let holes = self
            .login
            .steps
            .iter()
            .flat_map(|step| step.asked().holes());
        let of_rows = holes.filter_map(|hole| {
            let Hole::Column { table, column } = hole else {
                return None;
            };
            let row = *session.rows.get(table)?;
            let table = self.data.iter().find(|one| &one.name == table)?;
            table.value(row, column)
        });
        got.map(|secret| secret.expose().as_str())
            .chain(of_rows)
            .flat_map(hidden)
            .collect()
    }
}

/// What the steps would take out of this answer, whichever it is: a page that
/// says that the password is wrong has a fresh token, too.
pub fn secrets_in(answer: &Answer, login: &Login) -> Vec<Secret<String>> {
    let extractors = login.steps.iter().flat_map(|step| &step.extract);
    let found = extractors.filter_map(|(_, extractor)| extract(extractor, answer, &Vec::new()));
    found.flat_map(|value| hidden(&value)).collect()
}

fn hidden(value: &str) -> Vec<Secret<String>> {
    if value.chars().count() < LEAST_SECRET {
        return Vec::new();
    }
    encodings(value).into_iter().map(Secret::new).collect()
}

fn take_cookies(session: &mut LoginSession, answer: &Answer, now_s: i64) {
    for header in answer.all("set-cookie") {
        cookies::set(&mut session.cookies, header, now_s);
    }
}

/// What is wrong, the body, and why no answer came.
type Fault = (Problem, Option<Body>, Option<crate::http::HttpError>);

/// Takes the values of this step in, if the answer is good and has them.
fn take_values(
    step: &LoginStep,
    answer: Result<Answer, crate::http::HttpError>,
    session: &mut LoginSession,
) -> Option<Fault> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Some((Problem::NoAnswer, None, Some(error))),
    };
    if let Some(problem) = Problem::of(&step.expect, &answer) {
        return Some((problem, Some(Body::of(&answer)), None));
    }
    for (name, extractor) in &step.extract {
        match extract(extractor, &answer, &session.cookies) {
            Some(value) => {
                session.values.insert(name.clone(), Secret::new(value));
            }
            None => {
                let problem = Problem::Missing {
                    status: answer.status,
                    name: name.clone(),
                    place: place(extractor),
                };
                return Some((problem, Some(Body::of(&answer)), None));
            }
        }
    }
    None
}

/// Cookies expire by the wall clock.
fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
