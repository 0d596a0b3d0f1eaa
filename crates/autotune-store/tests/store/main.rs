//! The store from outside: what goes in comes out, writes may be repeated, and
//! nothing that was acknowledged is lost.

#[cfg(test)]
mod damage;
#[cfg(test)]
mod format_1;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod verbs;
