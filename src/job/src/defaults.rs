//! The classes that there are without any setting: the programs of the runbook's node layout.

use crate::{Class, ClassName, Template, class::Patch};

/// Where a class runs that does not say.
pub(crate) fn working_dir() -> Template {
    #[allow(clippy::expect_used)] // A constant, and a test reads it.
    "{ringrift_path}".parse().expect("this is a template")
}

/// The built-in classes: self-play on processors and on GPUs, training, and evaluation.
pub fn built_in() -> Vec<Class> {
    let read = |(name, json): (&str, &str)| -> Option<Class> {
        let patch: Patch = serde_json::from_str(json).ok()?;
        Class::fresh(name.parse::<ClassName>().ok()?, patch).ok()
    };
    CLASSES.into_iter().filter_map(read).collect()
}

const CLASSES: [(&str, &str); 4] = [
    (
        "selfplay",
        r#"{
            "kind": "selfplay",
            "aliases": ["cpu_selfplay"],
            "argv": ["python3", "scripts/run_self_play_soak.py", "--board-type", "{board_type}", "--num-players", "{num_players}",
                     "--num-games", "{num_games}", "--engine-mode", "{engine_mode}",
                     "--record-db", "{data_dir}/selfplay/{run}/games.db", ["--seed", "{seed}"]],
            "params": {
                "board_type": {"type": "choice", "of": ["hex8", "square8", "square19", "hexagonal"], "aliases": ["board"]},
                "num_players": {"type": "integer", "min": 2, "max": 4, "aliases": ["players"]},
                "num_games": {"type": "integer", "min": 1, "max": 100000, "default": 100, "aliases": ["total_games", "games"]},
                "engine_mode": {"type": "word", "default": "mixed"},
                "seed": {"type": "integer", "optional": true}
            },
            "env": {"PYTHONPATH": ".", "PYTHONUNBUFFERED": "1"},
            "needs": {"memory": "2G"},
            "limits": {"memory_high": "6G", "memory_max": "8G", "tasks_max": 256, "cpu_weight": 100},
            "deadline": "12h"
        }"#,
    ),
    (
        "gpu_selfplay",
        r#"{
            "kind": "selfplay",
            "aliases": ["hybrid_selfplay", "gumbel_selfplay"],
            "argv": ["python3", "scripts/run_gpu_selfplay.py", "--board", "{board_type}", "--num-players", "{num_players}",
                     "--num-games", "{num_games}", "--engine-mode", "{engine_mode}", "--model", "{model}",
                     "--output-dir", "{data_dir}/selfplay/{run}", ["--seed", "{seed}"]],
            "params": {
                "board_type": {"type": "choice", "of": ["hex8", "square8", "square19", "hexagonal"], "aliases": ["board"]},
                "num_players": {"type": "integer", "min": 2, "max": 4, "aliases": ["players"]},
                "num_games": {"type": "integer", "min": 1, "max": 100000, "default": 1000, "aliases": ["total_games", "games"]},
                "engine_mode": {"type": "word", "default": "gumbel-mcts"},
                "seed": {"type": "integer", "optional": true}
            },
            "env": {"PYTHONPATH": ".", "PYTHONUNBUFFERED": "1"},
            "needs": {"gpu": 1, "vram": "8G", "memory": "8G", "model": true},
            "limits": {"memory_high": "24G", "memory_max": "32G", "tasks_max": 512, "cpu_weight": 100},
            "deadline": "12h"
        }"#,
    ),
    (
        "training",
        r#"{
            "kind": "training",
            "aliases": ["nn_training"],
            "argv": ["python3", "-m", "app.training.train", "--board-type", "{board_type}", "--num-players", "{num_players}",
                     ["--data-path", "{data_path}"], ["--epochs", "{epochs}"], ["--batch-size", "{batch_size}"],
                     ["--learning-rate", "{learning_rate}"], ["--save-path", "{save_path}"]],
            "params": {
                "board_type": {"type": "choice", "of": ["hex8", "square8", "square19", "hexagonal"], "aliases": ["board"]},
                "num_players": {"type": "integer", "min": 2, "max": 4, "aliases": ["players"]},
                "data_path": {"type": "path", "optional": true},
                "save_path": {"type": "path", "optional": true},
                "epochs": {"type": "integer", "min": 1, "max": 100000, "optional": true},
                "batch_size": {"type": "integer", "min": 1, "max": 1000000, "optional": true},
                "learning_rate": {"type": "number", "optional": true}
            },
            "env": {"PYTHONPATH": ".", "PYTHONUNBUFFERED": "1"},
            "needs": {"gpu": 1, "vram": "16G", "memory": "32G"},
            "limits": {"memory_high": "56G", "memory_max": "64G", "tasks_max": 1024, "cpu_weight": 200},
            "deadline": "2d",
            "attempts": 2
        }"#,
    ),
    (
        "evaluation",
        r#"{
            "kind": "evaluation",
            "aliases": ["tournament", "gauntlet"],
            "argv": ["python3", "scripts/quick_gauntlet.py", "--board-type", "{board_type}", "--num-players", "{num_players}",
                     "--model", "{model}", "--games", "{num_games}"],
            "params": {
                "board_type": {"type": "choice", "of": ["hex8", "square8", "square19", "hexagonal"], "aliases": ["board"]},
                "num_players": {"type": "integer", "min": 2, "max": 4, "aliases": ["players"]},
                "num_games": {"type": "integer", "min": 1, "max": 100000, "default": 100, "aliases": ["total_games", "games"]}
            },
            "env": {"PYTHONPATH": ".", "PYTHONUNBUFFERED": "1"},
            "needs": {"memory": "8G", "model": true},
            "limits": {"memory_high": "24G", "memory_max": "32G", "tasks_max": 512, "cpu_weight": 100},
            "deadline": "6h",
            "attempts": 2
        }"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Classes;

    #[test]
    fn all_of_them_are_there_and_in_order() {
        let names: Vec<String> = built_in().iter().map(|class| class.name.to_string()).collect();
        assert_eq!(names, CLASSES.map(|(name, _)| name));
        Classes::new([]).unwrap();
        assert_eq!(working_dir().names().collect::<Vec<_>>(), ["ringrift_path"]);
    }
}
