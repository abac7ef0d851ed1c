//! The keys of `[launcher]` that are about Ray.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::RayJobs;
use super::tree::{self, Section};
use super::value::Value;

/// Reads the keys.
pub(super) fn jobs(section: &Section<'_>, fidelities: &[&str]) -> RayJobs {
    let address = section.text("address").unwrap_or_default();
    if section.lacks("address") {
        section.report(Some("address"), "needs the address of Ray's dashboard, such as \"http://head:8265\"");
    } else if !["http://", "https://"].iter().any(|scheme| address.starts_with(scheme)) {
        let message = format!(
            "\"{address}\" does not begin with http:// or https://; it is the address of Ray's dashboard, such as \
             \"http://head:8265\""
        );
        section.report(Some("address"), message);
    }
    let mut fidelity = BTreeMap::new();
    for (name, section) in section.tables("fidelity", "{ 1B = { entrypoint_num_gpus = 8 } }") {
        if !fidelities.contains(&&*name) {
            section.report(None, format!("there is no fidelity `{name}`; there are {}", fidelities.join(", ")));
        }
        fidelity.insert(name, options(&section));
        section.finish();
    }
    RayJobs { address: address.trim_end_matches('/').to_owned(), options: options(section), fidelity }
}

/// What a job asks for, by the names of Ray's API.
fn options(section: &Section<'_>) -> Map<String, Json> {
    let positive = |key| section.number(key, "a number of at least 0", |x| x >= 0.0).map(Json::from);
    let resources = section.entries("entrypoint_resources", "{ tpu = 1 }", "a number", Value::number);
    let environment = section.value("runtime_env", "a table such as { pip = [\"torch\"] }", |value| {
        matches!(value, Value::Table(_)).then(|| tree::json(value))
    });
    for place in environment.iter().flat_map(local_places) {
        let message = format!(
            "`{place}` is a place on this machine, and nothing is uploaded from here; put an archive where the cluster can get \
             it, and write its address, such as \"s3://bucket/code.zip\"; or leave this out, if the cluster shares the \
             folder that `admire` is started in"
        );
        section.report(Some("runtime_env"), message);
    }
    let options = [
        ("entrypoint_num_cpus", positive("entrypoint_num_cpus")),
        ("entrypoint_num_gpus", positive("entrypoint_num_gpus")),
        ("entrypoint_memory", section.integer("entrypoint_memory", 0).map(Json::from)),
        ("entrypoint_resources", resources.map(|resources| resources.into_iter().collect())),
        ("runtime_env", environment),
    ];
    options.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// What Ray's own programs upload before they submit a job: `working_dir` and `py_modules` that are no addresses. In a job that is
/// submitted to the API, Ray does not accept them.
fn local_places(environment: &Json) -> Vec<&str> {
    let modules = environment["py_modules"].as_array().into_iter().flatten();
    let places = [&environment["working_dir"]].into_iter().chain(modules).filter_map(Json::as_str);
    places.filter(|place| !place.contains("://")).collect()
}
