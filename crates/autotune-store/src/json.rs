//! The record types behind the JSON columns, and their conversions. Domain
//! types have no file format of their own.

use std::net::SocketAddr;

use autotune_model::{Configuration, ParamName, Peer, Value, VariantName};
use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// `{"variant":"gunicorn","values":[["workers",{"int":4}],…]}`, in the order of
/// the label.
#[derive(Serialize, Deserialize)]
struct ConfigurationJson {
    variant: String,
    values: Vec<(String, ValueJson)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ValueJson {
    Int(i64),
    Bool(bool),
    Text(String),
}

/// A configuration without its label, which has a column of its own.
pub(crate) fn configuration_to_json(configuration: &Configuration) -> Result<String, Fault> {
    let values = configuration.values().iter().map(|(name, value)| {
        let value = match value {
            Value::Int(number) => ValueJson::Int(*number),
            Value::Bool(flag) => ValueJson::Bool(*flag),
            Value::Text(text) => ValueJson::Text(text.clone()),
        };
        (name.as_str().to_owned(), value)
    });
    Ok(serde_json::to_string(&ConfigurationJson {
        variant: configuration.variant().as_str().to_owned(),
        values: values.collect(),
    })?)
}

/// Back from [`configuration_to_json`] and the label.
pub(crate) fn configuration_from_json(json: &str, label: String) -> Result<Configuration, Fault> {
    let record: ConfigurationJson = serde_json::from_str(json)?;
    let values = record.values.into_iter().map(|(name, value)| {
        let value = match value {
            ValueJson::Int(number) => Value::Int(number),
            ValueJson::Bool(flag) => Value::Bool(flag),
            ValueJson::Text(text) => Value::Text(text),
        };
        (ParamName::new(name), value)
    });
    let variant = VariantName::new(record.variant);
    Ok(Configuration::from_stored(variant, values.collect(), label))
}

#[derive(Serialize, Deserialize)]
struct PeerJson {
    address: SocketAddr,
    protocol: String,
    pid: u32,
}

pub(crate) fn peers_to_json(peers: &[Peer]) -> Result<String, Fault> {
    let records = peers.iter().map(|peer| PeerJson {
        address: peer.address,
        protocol: peer.protocol.clone(),
        pid: peer.pid,
    });
    Ok(serde_json::to_string(&records.collect::<Vec<_>>())?)
}

pub(crate) fn peers_from_json(json: &str) -> Result<Vec<Peer>, Fault> {
    let records: Vec<PeerJson> = serde_json::from_str(json)?;
    let peers = records.into_iter().map(|record| Peer {
        address: record.address,
        protocol: record.protocol,
        pid: record.pid,
    });
    Ok(peers.collect())
}
