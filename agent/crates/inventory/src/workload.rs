//! What a pod belongs to.

use crate::PodObject;

/// The label by which a Deployment tells its ReplicaSets apart; their names end with its value (kubernetes
/// `pkg/controller/deployment/sync.go`).
const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// Digits of the minute, counted since 1970, that a CronJob ends the names of its Jobs with (kubernetes
/// `pkg/controller/cronjob/cronjob_controllerv2.go`, `getJobName`): 8 from 1989 to 2160.
const CRON_MINUTE_DIGITS: usize = 8;

/// Kind and name of the workload: the controller, or the Deployment or CronJob that made it, which is told by the
/// controller's name, so that neither ReplicaSets nor Jobs have to be watched. None for a pod that nobody controls.
pub(crate) fn workload_of(pod: &PodObject) -> Option<(&str, &str)> {
    let controller = pod.controller.as_ref()?;
    let (kind, name) = (controller.kind.as_str(), controller.name.as_str());
    Some(match kind {
        "ReplicaSet" => pod
            .labels
            .get(POD_TEMPLATE_HASH)
            .and_then(|hash| name.strip_suffix(hash.as_str())?.strip_suffix('-'))
            .map_or((kind, name), |deployment| ("Deployment", deployment)),
        "Job" => match name.rsplit_once('-') {
            Some((cron_job, minute))
                if minute.len() == CRON_MINUTE_DIGITS && minute.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                ("CronJob", cron_job)
            }
            _ => (kind, name),
        },
        // A mirror of a static pod is controlled by its node, which is not what anybody calls its workload.
        "Node" => return None,
        _ => (kind, name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ControllerRef;

    #[test]
    fn the_workload_is_what_people_call_it() {
        for (kind, name, hash, expected) in [
            ("ReplicaSet", "web-5d4f", Some("5d4f"), Some(("Deployment", "web"))),
            ("ReplicaSet", "web-5d4f", Some("77aa"), Some(("ReplicaSet", "web-5d4f"))),
            ("ReplicaSet", "web", None, Some(("ReplicaSet", "web"))),
            ("Job", "backup-29403360", None, Some(("CronJob", "backup"))),
            ("Job", "backup-2940336", None, Some(("Job", "backup-2940336"))),
            ("Job", "migrate", None, Some(("Job", "migrate"))),
            ("StatefulSet", "db", None, Some(("StatefulSet", "db"))),
            ("Node", "node-a", None, None),
        ] {
            let labels = hash.map(|hash| (POD_TEMPLATE_HASH.to_owned(), hash.to_owned()));
            let pod = PodObject {
                labels: labels.into_iter().collect(),
                controller: Some(ControllerRef { kind: kind.to_owned(), name: name.to_owned() }),
                ..PodObject::default()
            };
            assert_eq!(workload_of(&pod), expected, "{kind} {name}");
        }
        assert_eq!(workload_of(&PodObject::default()), None);
    }
}
