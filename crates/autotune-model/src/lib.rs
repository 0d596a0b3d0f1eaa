//! The nouns of `autotune`: what every other crate talks about.
//!
//! Nothing here acts. There is no clock, no file, no process and no async in
//! this crate; it holds identities, units, configurations, server profiles,
//! trials, outcomes, records, histograms and the time axis they share. Types
//! here do not know any file format: the crate that owns a file mirrors them.

pub mod code;
pub mod configuration;
pub mod connections;
pub mod data;
pub mod endpoint;
pub mod histogram;
pub mod history;
pub mod host;
pub mod id;
pub mod json;
pub mod limits;
pub mod load;
pub mod login;
pub mod objective;
pub mod profile;
pub mod record;
pub mod secret;
pub mod server;
pub mod service;
pub mod text;
pub mod time;
pub mod trial;
pub mod units;
pub mod value;

pub use code::ErrorCode;
pub use configuration::{Configuration, Label};
pub use connections::{ConnectionPolicy, KeepLimits};
pub use data::DataTable;
pub use endpoint::{Endpoint, EndpointName, Expect, Method};
pub use histogram::{Histogram, SparseHistogram};
pub use history::{Decision, DecisionKind, History, StopReason};
pub use host::{CpuPlacement, CpuSet, HostFacts};
pub use id::{ConfigId, Seed, ServiceName, VariantName};
pub use json::{JsonExpect, JsonFault, JsonWanted, judge_json};
pub use limits::{Confinement, CpuQuota, Enforcement, HostLimits, LimitMeans};
pub use load::{
    Arrivals, Arriving, Group, Groups, Levels, LoadShape, Loops, Pause, Step, Surge, Think, Users,
    whole_seconds,
};
pub use login::{Extractor, Login, LoginStep};
pub use objective::{Accept, MaxLatency, Metric, Objective, Over, Quantile};
pub use profile::{Condition, ConfigFile, Fold, Param, ParamKind, Profile, Recycling, Test};
pub use record::{
    Accounting, EndpointLoad, FailureClass, GeneratorRecord, GeneratorVerdict, HostLoad,
    LoadRecord, LoadSecond, LogRecord, MemorySource, Peer, ProcessRole, ProcessSample,
    ServerRecord, ServerSample, ServiceRecord, ServiceWindow, TrialRecord,
};
pub use secret::Secret;
pub use server::{EnvValue, ServerVariant};
pub use service::{Service, ServiceReady, ServiceUser};
pub use text::{
    Asked, Filling, Hole, LoginSession, MAX_VARIANTS, Part, Request, Text, Unfilled, encodings,
};
pub use time::{Anchor, Span};
pub use trial::{Outcome, Stage, TrialKey, TrialSpec};
pub use units::{Bytes, Rate, Share};
pub use value::{ParamName, Value};
