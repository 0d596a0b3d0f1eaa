//! Other users of this machine that something can be run as. Only root can do
//! that; what is run then has their rights and none of root's.

use std::ffi::CString;
use std::path::PathBuf;

use nix::unistd::{User, geteuid, getgrouplist};

/// A user as the kernel knows him, with the groups that he belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// His name.
    pub name: String,
    /// His number.
    pub uid: u32,
    /// His own group.
    pub gid: u32,
    /// All his groups, his own among them.
    pub groups: Vec<u32>,
    /// His home folder.
    pub home: PathBuf,
}

/// Why nothing can be run as a user.
#[derive(Debug, thiserror::Error)]
pub enum UnknownUser {
    /// This machine does not have him.
    #[error("this machine has no user `{name}`")]
    Missing {
        /// The name.
        name: String,
    },
    /// Only root may.
    #[error("only root can start something as `{name}`, and this is uid {own}")]
    NotRoot {
        /// The name.
        name: String,
        /// Who asks.
        own: u32,
    },
    /// The list of users cannot be read.
    #[error("the user `{name}` cannot be looked up")]
    LookUp {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: nix::Error,
    },
}

impl RunAs {
    /// The user of this name. `None` where it is the one who asks: then nothing
    /// has to be changed.
    ///
    /// # Errors
    /// When there is none, or whoever asks may not run anything as him.
    pub fn find(name: &str) -> Result<Option<Self>, UnknownUser> {
        let look_up = |source| UnknownUser::LookUp {
            name: name.to_owned(),
            source,
        };
        let missing = || UnknownUser::Missing {
            name: name.to_owned(),
        };
        let user = User::from_name(name).map_err(look_up)?;
        let user = user.ok_or_else(missing)?;
        let own = geteuid();
        if user.uid == own {
            return Ok(None);
        }
        if !own.is_root() {
            return Err(UnknownUser::NotRoot {
                name: name.to_owned(),
                own: own.as_raw(),
            });
        }
        // A name with a zero byte names nobody.
        let c_name = CString::new(name).map_err(|_zero_byte| missing())?;
        let groups = getgrouplist(&c_name, user.gid).map_err(look_up)?;
        Ok(Some(Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
            home: user.dir,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_made_up_and_the_own_name_changes_nothing() {
        let refused = RunAs::find("no-such-user-here");
        assert!(matches!(refused, Err(UnknownUser::Missing { .. })));
        if let Ok(Some(own)) = User::from_uid(geteuid()) {
            assert_eq!(RunAs::find(&own.name).expect("it is there"), None);
        }
    }
}
