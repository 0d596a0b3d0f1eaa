//! What a server is asked before any load: is it ready, does the login work, do
//! the endpoints answer.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_model::text::Row;
use autotune_model::{Bytes, Endpoint, Filling, LoginSession, Method, Secret};
use autotune_server::{CheckFailure, Question, Readiness, secrets_in};
use tokio::time::{Instant, sleep};

use super::{Asking, CLOSE_QUESTIONS, Care, STOP_LOOK, Session, StartFault};
use crate::context::Answered;
use crate::port::{is_listened_on, may_meet_itself};

/// What each step of a login may take, however late the server was ready.
const SHORTEST_LOGIN: Duration = Duration::from_secs(2);
/// The most sessions that are asked for beyond the usual rounds: the check before
/// all trials takes half a minute, and each of them is one more question.
const MOST_OTHERS: usize = 32;

impl Session<'_> {
    /// Waits until the server is ready; how long that took since its launch.
    pub(super) async fn wait_until_ready(
        &mut self,
        asking: &Asking<'_>,
        stop: &AtomicBool,
    ) -> Result<Duration, StartFault> {
        let own = self.prepared.variant.ready.as_deref();
        let (question, good) = readiness(asking, own).map_err(StartFault::Endpoint)?;
        let (address, limit) = (self.address, asking.ready_limit);
        let waiting = async {
            let deadline = Instant::now() + limit;
            if may_meet_itself(address) {
                until_listened_on(address, deadline).await;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let asked = (&question, &good[..]);
            asking.http.until_ready(address, asked, left).await
        };
        let readiness = self.watch_with(asking.care, stop, waiting).await?;
        let boot = self.launched.elapsed();
        let path = &question.path;
        match readiness {
            Readiness::Ready { .. } => Ok(boot),
            // The check of the login or the first endpoint tells it better.
            Readiness::Unexpected { .. } if own.is_none() => Ok(boot),
            Readiness::Unexpected { last } => Err(StartFault::NotReady(format!(
                "it went on answering {} to {path}",
                last.status
            ))),
            Readiness::NoAnswer { .. } => Err(StartFault::NotReady(format!(
                "no answer from {path} within {:.0} s",
                limit.as_secs_f64()
            ))),
        }
    }

    /// Logs all sessions in, one after the other: side by side they would wait
    /// for each other's locks in the app. In the check before all trials a login
    /// that hangs is given up at the deadline; those after a good one may take
    /// their time.
    pub(super) async fn log_in(
        &mut self,
        asking: &Asking<'_>,
        deadline: Instant,
        stop: &AtomicBool,
    ) -> Result<(), StartFault> {
        let Some(plan) = asking.login else {
            return Ok(());
        };
        let mut timeout = match asking.care {
            Care::Usual => asking.timeout,
            Care::Close => {
                let steps = u32::try_from(plan.login.steps.len()).unwrap_or(u32::MAX);
                let left = deadline.saturating_duration_since(Instant::now()) / steps.max(1);
                asking.timeout.min(left.max(SHORTEST_LOGIN))
            }
        };
        let mut secrets = Vec::new();
        for number in plan.numbers() {
            let login = asking.http.login(self.address, (plan, number), timeout);
            let end = self.watch_with(asking.care, stop, login).await?;
            timeout = asking.timeout;
            secrets.extend(end.secrets);
            self.sessions.push(end.session);
            if let Some(mut failure) = end.failure {
                self.hide(&secrets);
                failure.clean(&self.redactor);
                return Err(StartFault::Endpoint(failure));
            }
        }
        self.hide(&secrets);
        Ok(())
    }

    fn hide(&mut self, secrets: &[Secret<String>]) {
        let secrets = secrets.iter().map(|secret| secret.expose().as_str());
        self.redactor = self.redactor.with(secrets);
    }

    /// The good answer of an endpoint, asked each time in the name of another
    /// session.
    pub(super) async fn ask(
        &mut self,
        asking: &Asking<'_>,
        (endpoint, time): (&Endpoint, usize),
        stop: &AtomicBool,
    ) -> Result<Answered, StartFault> {
        let nobody = LoginSession::default();
        let number = time.checked_rem(self.sessions.len());
        let session = number.map_or(&nobody, |number| &self.sessions[number]);
        let filling = Filling {
            session,
            data: asking.data,
            row: Row::Question(time),
        };
        let told = number.filter(|_| self.sessions.len() > 1);
        let failed = |mut failure: CheckFailure| {
            if let Some(number) = told {
                failure.in_session(number);
            }
            StartFault::Endpoint(Box::new(failure))
        };
        let question = Question::of(endpoint.asked(), &filling)
            .map_err(|why| failed(CheckFailure::unfilled(endpoint, why)))?;
        let address = self.address;
        let asked = async {
            let began = Instant::now();
            let answer = asking.http.ask(address, &question, asking.timeout).await;
            (answer, began.elapsed())
        };
        let (answer, took) = self.watch_with(asking.care, stop, asked).await?;
        let answered = answer.as_ref().ok().map(|answer| Answered {
            endpoint: endpoint.name.clone(),
            status: answer.status,
            size: Bytes::new(answer.body.len() as u64),
            took,
            content_type: answer.content_type().map(str::to_owned),
        });
        let fresh = match (&answer, asking.login) {
            (Ok(answer), Some(plan)) => secrets_in(answer, plan.login),
            _ => Vec::new(),
        };
        match CheckFailure::judge(endpoint, answer) {
            None => Ok(answered.expect("no answer is a failure")),
            Some(mut failure) => {
                self.hide(&fresh);
                failure.clean(&self.redactor);
                Err(failed(failure))
            }
        }
    }

    /// In the check before all trials, whether those are logged in, too, in whose
    /// name nobody asked so far: the sessions from this one on. An app that takes
    /// a wrong password for a good answer, or ends one login with the next one,
    /// would answer their requests with its login page. Not more than
    /// [`MOST_OTHERS`] of them are asked for, spread evenly.
    pub(super) async fn ask_other_sessions(
        &mut self,
        asking: &Asking<'_>,
        from: usize,
        stop: &AtomicBool,
    ) -> Result<(), StartFault> {
        let endpoint = match asking.care {
            Care::Usual => None,
            Care::Close => telling(asking.endpoints),
        };
        let Some(endpoint) = endpoint else {
            return Ok(());
        };
        for number in others(from, self.sessions.len()) {
            self.ask(asking, (endpoint, number), stop).await?;
            self.sample(stop).await?;
        }
        Ok(())
    }
}

/// The endpoint that tells whether somebody is logged in: the first one that only
/// reads, since another one may take a row only once; else the first one.
fn telling(endpoints: &[Endpoint]) -> Option<&Endpoint> {
    let mut reading = endpoints.iter();
    let reading = reading.find(|endpoint| endpoint.method == Method::Get);
    reading.or(endpoints.first())
}

/// Of `count` sessions those from `from` on, or so many of them as may be asked
/// for, at even distances, the last one among them.
fn others(from: usize, count: usize) -> impl Iterator<Item = usize> {
    let left = count.saturating_sub(from);
    let asked = left.min(MOST_OTHERS);
    (1..=asked).map(move |turn| from + turn * left / asked - 1)
}

/// What is asked until the server is ready, and which answers mean that it is.
/// Before a login the endpoints may redirect to it, and its first step may be a
/// POST: then anything but a fault of the server will do for an answer.
pub(crate) fn readiness(
    asking: &Asking<'_>,
    own: Option<&str>,
) -> Result<(Question, Vec<u16>), Box<CheckFailure>> {
    let nobody = LoginSession::default();
    let (session, first) = match (own, asking.login) {
        (None, Some(plan)) => (plan.begin(0), plan.login.steps.first()),
        _ => (nobody, None),
    };
    let filling = Filling {
        session: &session,
        data: asking.data,
        // The rows before this one are those of the endpoints' own questions.
        row: Row::Question(CLOSE_QUESTIONS),
    };
    let (endpoint, good) = match (own, first) {
        (Some(path), _) => (Endpoint::get("ready", path), (200..300).collect()),
        (None, Some(step)) => {
            let mut endpoint = Endpoint::get("login", "/");
            endpoint.path = step.path.clone();
            (endpoint, (200..500).collect())
        }
        (None, None) => {
            let first = asking.endpoints[0].clone();
            let good = first.expect.status.clone();
            (first, good)
        }
    };
    match Question::of(endpoint.asked(), &filling) {
        Ok(question) => Ok((question, good)),
        Err(why) => Err(Box::new(CheckFailure::unfilled(&endpoint, why))),
    }
}

/// Waits until somebody listens there, without a connection, or until then.
async fn until_listened_on(address: SocketAddr, deadline: Instant) {
    while !is_listened_on(address.port()) && Instant::now() < deadline {
        sleep(STOP_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use autotune_model::text::rows_of_load;

    use super::*;

    #[test]
    fn all_other_sessions_are_asked_for_as_far_as_there_is_time() {
        let of = |from, count| others(from, count).collect::<Vec<_>>();
        assert!(of(3, 0).is_empty() && of(3, 3).is_empty());
        assert_eq!(of(3, 6), [3, 4, 5]);
        assert_eq!(
            of(3, 3 + MOST_OTHERS),
            (3..3 + MOST_OTHERS).collect::<Vec<_>>()
        );
        let some = of(3, 1_000);
        assert_eq!((some.len(), some.last()), (MOST_OTHERS, Some(&999)));
        assert!(some[0] >= 3 && some.windows(2).all(|two| two[0] + 30 < two[1]));
    }

    #[test]
    fn an_endpoint_that_only_reads_tells_who_is_logged_in() {
        let of = |methods: &[Method]| {
            let endpoint = |(place, method): (usize, &Method)| Endpoint {
                method: *method,
                ..Endpoint::get(&place.to_string(), "/")
            };
            let all: Vec<Endpoint> = methods.iter().enumerate().map(endpoint).collect();
            telling(&all).map(|endpoint| endpoint.name.to_string())
        };
        assert_eq!(of(&[Method::Get, Method::Get]).as_deref(), Some("0"));
        assert_eq!(of(&[Method::Post, Method::Get]).as_deref(), Some("1"));
        assert_eq!(of(&[Method::Put, Method::Post]).as_deref(), Some("0"));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn each_question_before_a_load_has_a_row_that_is_kept_for_it() {
        // The rounds of the check, and whether the server is ready.
        assert_eq!(100 - rows_of_load(100), CLOSE_QUESTIONS + 1);
    }
}
