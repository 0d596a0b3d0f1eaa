//! The program as users run it: real servers, real signals, the files it leaves.
//! What a part does by itself is tested beside that part.
//!
//! `cargo test -p autotune --test end_to_end` runs these tests, in a few minutes;
//! the slow one takes about three more:
//! `cargo test -p autotune --test end_to_end -- --ignored`.
//!
//! They need Python 3, those of gunicorn also PyPI, one PostgreSQL; without them
//! they say why they are passed over, unless `CI=true`: then they fail.

mod check;
mod faults;
mod gunicorn;
mod help;
mod killed;
mod limits;
mod login;
mod messages;
mod place;
mod postgres;
mod processes;
mod reference;
mod secrets;
mod services;
mod shapes;
mod study;
mod sweep;
mod tools;
