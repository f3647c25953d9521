-- Schema 4 in SQLite, as `JobTable.create` made it, with the rows of a study half-way.
-- Frozen: homes like this one exist, so it never changes, whatever the schema becomes.

CREATE TABLE data (
	name VARCHAR(200) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size INTEGER NOT NULL, 
	location TEXT NOT NULL, 
	PRIMARY KEY (name)
);

CREATE TABLE jobs (
	id VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	stage VARCHAR(16) NOT NULL, 
	model TEXT NOT NULL, 
	steps INTEGER NOT NULL, 
	spec TEXT NOT NULL, 
	inputs TEXT NOT NULL, 
	needs VARCHAR(8) DEFAULT 'cpu' NOT NULL, 
	planned BOOLEAN NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	undone_parents INTEGER NOT NULL, 
	remaining_path INTEGER NOT NULL, 
	affinity TEXT, 
	not_before DOUBLE DEFAULT '0' NOT NULL, 
	lease_seconds DOUBLE NOT NULL, 
	tries INTEGER NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	failures INTEGER DEFAULT '0' NOT NULL, 
	stuck_deaths INTEGER DEFAULT '0' NOT NULL, 
	death_step INTEGER DEFAULT '-1' NOT NULL, 
	token VARCHAR(32), 
	worker TEXT, 
	lease_expires DOUBLE, 
	twin_token VARCHAR(32), 
	twin_worker TEXT, 
	twin_expires DOUBLE, 
	step INTEGER DEFAULT '0' NOT NULL, 
	progress TEXT DEFAULT '{}' NOT NULL, 
	metrics TEXT, 
	error TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT stage_is_known CHECK (stage IN ('train', 'merge', 'compress', 'benchmark')), 
	CONSTRAINT needs_is_known CHECK (needs IN ('cpu', 'gpu')), 
	CONSTRAINT state_is_known CHECK (state IN ('blocked', 'ready', 'running', 'done', 'quarantined', 'cancelled')), 
	CONSTRAINT running_means_leased CHECK ((state = 'running') = (token IS NOT NULL) AND (token IS NULL) = (worker IS NULL) AND (token IS NULL) = (lease_expires IS NULL)), 
	CONSTRAINT a_twin_only_beside_a_holder CHECK ((twin_token IS NULL) = (twin_worker IS NULL) AND (twin_token IS NULL) = (twin_expires IS NULL) AND (twin_token IS NULL OR (token IS NOT NULL AND twin_token <> token AND twin_worker <> worker))), 
	CONSTRAINT ready_after_all_parents CHECK (state <> 'ready' OR undone_parents = 0), 
	CONSTRAINT blocked_by_a_parent CHECK (state <> 'blocked' OR undone_parents > 0), 
	CONSTRAINT parents_are_counted_once CHECK (undone_parents >= 0), 
	CONSTRAINT tries_are_a_limit CHECK (failures <= tries AND stuck_deaths <= tries + 1), 
	CONSTRAINT done_has_metrics CHECK ((state = 'done') = (metrics IS NOT NULL))
);

CREATE UNIQUE INDEX planned_names ON jobs (name) WHERE planned;

CREATE INDEX ready_by_affinity ON jobs (affinity, needs, remaining_path DESC, id) WHERE state = 'ready' AND affinity IS NOT NULL;

CREATE INDEX ready_by_path ON jobs (needs, remaining_path DESC, id) WHERE state = 'ready';

CREATE INDEX running_by_expiry ON jobs (lease_expires) WHERE state = 'running';

CREATE TABLE study (
	id INTEGER NOT NULL CONSTRAINT one_study CHECK (id = 1), 
	schema_version INTEGER NOT NULL, 
	name VARCHAR(100), 
	document TEXT, 
	notes TEXT NOT NULL, 
	planned_at DOUBLE, 
	PRIMARY KEY (id)
);

CREATE TABLE attempts (
	job VARCHAR(64) NOT NULL, 
	number INTEGER NOT NULL, 
	worker TEXT NOT NULL, 
	host TEXT NOT NULL, 
	device TEXT NOT NULL, 
	started DOUBLE NOT NULL, 
	seen DOUBLE NOT NULL, 
	ended DOUBLE, 
	from_step INTEGER NOT NULL, 
	to_step INTEGER NOT NULL, 
	outcome VARCHAR(16), 
	error TEXT, 
	twin BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (job, number), 
	CONSTRAINT ended_means_an_outcome CHECK ((ended IS NULL) = (outcome IS NULL)), 
	CONSTRAINT outcome_is_known CHECK (outcome IN ('done', 'failed', 'released', 'expired', 'outrun', 'cancelled')), 
	FOREIGN KEY(job) REFERENCES jobs (id)
)
 WITHOUT ROWID;

CREATE UNIQUE INDEX one_open_attempt ON attempts (job, twin) WHERE ended IS NULL;

CREATE TABLE checkpoints (
	job VARCHAR(64) NOT NULL, 
	step INTEGER NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size INTEGER NOT NULL, 
	location TEXT NOT NULL, 
	PRIMARY KEY (job, step), 
	FOREIGN KEY(job) REFERENCES jobs (id)
)
 WITHOUT ROWID;

CREATE TABLE edges (
	parent VARCHAR(64) NOT NULL, 
	child VARCHAR(64) NOT NULL, 
	PRIMARY KEY (parent, child), 
	CONSTRAINT no_job_waits_for_itself CHECK (parent <> child), 
	FOREIGN KEY(parent) REFERENCES jobs (id), 
	FOREIGN KEY(child) REFERENCES jobs (id)
)
 WITHOUT ROWID;

CREATE INDEX edges_by_child ON edges (child);

CREATE TABLE outputs (
	job VARCHAR(64) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size INTEGER NOT NULL, 
	location TEXT NOT NULL, 
	PRIMARY KEY (job, name), 
	FOREIGN KEY(job) REFERENCES jobs (id)
)
 WITHOUT ROWID;

INSERT INTO data (name, sha256, size, location) VALUES ('test/7063bde79a73ff8e/100', '6bf1ec36a942b0ec3083ce95136380e4a98eb72d6d1367842d8e9beae22458e6', 25, '6b/6bf1ec36a942b0ec3083ce95136380e4a98eb72d6d1367842d8e9beae22458e6');
INSERT INTO data (name, sha256, size, location) VALUES ('train/7063bde79a73ff8e/400/2/0', 'ecdce1521d708ce49a5cdc2acb1c02b91485022c00dfd7890b93037b07b5f8a0', 30, 'ec/ecdce1521d708ce49a5cdc2acb1c02b91485022c00dfd7890b93037b07b5f8a0');
INSERT INTO data (name, sha256, size, location) VALUES ('train/7063bde79a73ff8e/400/2/1', '9ee45bd35e874060836592cf621541e48ebf0bf0493235123f8cb386203ff027', 30, '9e/9ee45bd35e874060836592cf621541e48ebf0bf0493235123f8cb386203ff027');

INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('02329b6ff41fba47312a37fe4dfc87c3', 'gone/seed0/train/r00.s1', 'train', 'gone', 3, '{"model": "gone", "round": 0, "seed": 0, "shard": 1, "threads": 1, "training": {"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.002, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 0, "first_step": 3, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/1"}, "state": {"job": "7ca8bb63b9a3ca297306ec9e587621c7", "name": "state"}}', 'cpu', false, 'cancelled', 1, 5, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, affinity, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('11cc3eba942815ce51b74068de5b0cc9', 'alexnet-tiny/seed0/benchmark/float32', 'benchmark', 'alexnet-tiny', 0, '{"batch_sizes": [1], "method": "float32", "model": "alexnet-tiny", "seed": 0, "threads": [1]}', '{"model": {"job": "9192bc3ffd9288c897120fc44ec1dfda", "name": "model"}, "reference": {"job": "9192bc3ffd9288c897120fc44ec1dfda", "name": "model"}, "test": {"job": null, "name": "test/7063bde79a73ff8e/100"}}', 'cpu', true, 'ready', 0, 1, 'w1', 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('14c882604f467c31907e06e66f6eb50f', 'gone/seed0/benchmark/float32', 'benchmark', 'gone', 0, '{"batch_sizes": [1], "method": "float32", "model": "gone", "seed": 0, "threads": [1]}', '{"model": {"job": "d7e13901bb5ebc31dd4295efbaf668ef", "name": "model"}, "reference": {"job": "d7e13901bb5ebc31dd4295efbaf668ef", "name": "model"}, "test": {"job": null, "name": "test/7063bde79a73ff8e/100"}}', 'cpu', false, 'cancelled', 1, 1, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('18b022a6cd7b93cfb7488774bd3ba9b2', 'gone/seed0/train/r01.s1', 'train', 'gone', 3, '{"model": "gone", "round": 1, "seed": 0, "shard": 1, "threads": 1, "training": {"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.002, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 1, "first_step": 9, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/1"}, "state": {"job": "a6bd675f5b696751708bfe92da852121", "name": "state"}}', 'cpu', false, 'cancelled', 1, 3, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('313531fe26eeac75f7aeaca440720664', 'vit-tiny/seed0/benchmark/float32', 'benchmark', 'vit-tiny', 0, '{"batch_sizes": [1], "method": "float32", "model": "vit-tiny", "seed": 0, "threads": [1]}', '{"model": {"job": "de91e3d9bb78ab7b7b3fe142bdf75cb1", "name": "model"}, "reference": {"job": "de91e3d9bb78ab7b7b3fe142bdf75cb1", "name": "model"}, "test": {"job": null, "name": "test/7063bde79a73ff8e/100"}}', 'cpu', true, 'blocked', 1, 1, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress, metrics) VALUES ('33236916798f356106078b33276322d9', 'alexnet-tiny/seed0/train/r00.s0', 'train', 'alexnet-tiny', 3, '{"model": "alexnet-tiny", "round": 0, "seed": 0, "shard": 0, "threads": 1, "training": {"architecture": "alexnet-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.005, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 0, "first_step": 0, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/0"}}', 'cpu', true, 'done', 0, 6, 0.0, 5.0, 2, 2, 0, 1, 2, 3, '{"step": 2}', '{"loss": 2.25}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, affinity, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress, error) VALUES ('5bf2f9e974a73661fad29550ded660c2', 'alexnet-tiny/seed0/compress/float16', 'compress', 'alexnet-tiny', 0, '{"architecture": "alexnet-tiny", "classes": 10, "image_shape": [32, 32, 3], "method": "float16", "model": "alexnet-tiny", "seed": 0}', '{"state": {"job": "ed02269db837c493eb776c37c84480a6", "name": "state"}}', 'cpu', true, 'quarantined', 0, 2, 'w2', 1700000880.5, 5.0, 2, 2, 2, 0, -1, 0, '{"step": 0}', 'ValueError: the converter said "no"
and it''s 100 % sure');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('61681c40809f8e71d28ac913d260909d', 'alexnet-tiny/seed0/benchmark/float16', 'benchmark', 'alexnet-tiny', 0, '{"batch_sizes": [1], "method": "float16", "model": "alexnet-tiny", "seed": 0, "threads": [1]}', '{"model": {"job": "5bf2f9e974a73661fad29550ded660c2", "name": "model"}, "reference": {"job": "9192bc3ffd9288c897120fc44ec1dfda", "name": "model"}, "test": {"job": null, "name": "test/7063bde79a73ff8e/100"}}', 'cpu', true, 'blocked', 1, 1, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('719c058e321bd472323c2fd715f5781a', 'vit-tiny/seed0/train/r01.s0', 'train', 'vit-tiny', 3, '{"model": "vit-tiny", "round": 1, "seed": 0, "shard": 0, "threads": 1, "training": {"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.002, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 1, "first_step": 6, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/0"}, "state": {"job": "b7ed928e43d415d7324533f3e4435a6c", "name": "state"}}', 'gpu', true, 'blocked', 1, 4, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', 'gone/seed0/train/r00.s0', 'train', 'gone', 3, '{"model": "gone", "round": 0, "seed": 0, "shard": 0, "threads": 1, "training": {"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.002, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 0, "first_step": 0, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/0"}}', 'cpu', false, 'cancelled', 0, 6, 0.0, 5.0, 2, 7, 0, 0, -1, 0, '{"step": 0}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, affinity, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress, metrics) VALUES ('9192bc3ffd9288c897120fc44ec1dfda', 'alexnet-tiny/seed0/compress/float32', 'compress', 'alexnet-tiny', 0, '{"architecture": "alexnet-tiny", "classes": 10, "image_shape": [32, 32, 3], "method": "float32", "model": "alexnet-tiny", "seed": 0}', '{"state": {"job": "ed02269db837c493eb776c37c84480a6", "name": "state"}}', 'cpu', true, 'done', 0, 2, 'w2', 0.0, 5.0, 2, 1, 0, 0, -1, 0, '{"step": 0}', '{"file_bytes": 12345}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, token, worker, lease_expires, twin_token, twin_worker, twin_expires, step, progress) VALUES ('a417ecb2041358308a121cbad8b0015d', 'vit-tiny/seed0/train/r00.s0', 'train', 'vit-tiny', 3, '{"model": "vit-tiny", "round": 0, "seed": 0, "shard": 0, "threads": 1, "training": {"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.002, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 0, "first_step": 0, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/0"}}', 'cpu', true, 'running', 0, 6, 0.0, 5.0, 2, 8, 0, 0, -1, '1ebcb02130167458ffc7e44e6073f90c', 'w2', 1700000900.0, '5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e', 'w3', 1700000960.0, 3, '{"images_per_second": 290.0, "loss": 2.5, "step": 3}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('a59c40a36c637c5651da332ebd10ca50', 'vit-tiny/seed0/train/r01.s1', 'train', 'vit-tiny', 3, '{"model": "vit-tiny", "round": 1, "seed": 0, "shard": 1, "threads": 1, "training": {"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.002, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 1, "first_step": 9, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/1"}, "state": {"job": "719c058e321bd472323c2fd715f5781a", "name": "state"}}', 'gpu', true, 'blocked', 1, 3, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('a6bd675f5b696751708bfe92da852121', 'gone/seed0/train/r01.s0', 'train', 'gone', 3, '{"model": "gone", "round": 1, "seed": 0, "shard": 0, "threads": 1, "training": {"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.002, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 1, "first_step": 6, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/0"}, "state": {"job": "02329b6ff41fba47312a37fe4dfc87c3", "name": "state"}}', 'cpu', false, 'cancelled', 1, 4, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('b7ed928e43d415d7324533f3e4435a6c', 'vit-tiny/seed0/train/r00.s1', 'train', 'vit-tiny', 3, '{"model": "vit-tiny", "round": 0, "seed": 0, "shard": 1, "threads": 1, "training": {"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.002, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 0, "first_step": 3, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/1"}, "state": {"job": "a417ecb2041358308a121cbad8b0015d", "name": "state"}}', 'gpu', true, 'blocked', 1, 5, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, affinity, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress, metrics) VALUES ('c09a51af69d5b44a9e6c77273dc485c3', 'alexnet-tiny/seed0/train/r00.s1', 'train', 'alexnet-tiny', 3, '{"model": "alexnet-tiny", "round": 0, "seed": 0, "shard": 1, "threads": 1, "training": {"architecture": "alexnet-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.005, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 0, "first_step": 3, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/1"}, "state": {"job": "33236916798f356106078b33276322d9", "name": "state"}}', 'cpu', true, 'done', 0, 5, 'w2', 0.0, 5.0, 2, 1, 0, 0, -1, 3, '{"step": 0}', '{"loss": 2.125}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('d7e13901bb5ebc31dd4295efbaf668ef', 'gone/seed0/compress/float32', 'compress', 'gone', 0, '{"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "method": "float32", "model": "gone", "seed": 0}', '{"state": {"job": "18b022a6cd7b93cfb7488774bd3ba9b2", "name": "state"}}', 'cpu', false, 'cancelled', 1, 2, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, affinity, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress, metrics) VALUES ('dc4956729504235147ed95a0b7fbf322', 'alexnet-tiny/seed0/train/r01.s0', 'train', 'alexnet-tiny', 3, '{"model": "alexnet-tiny", "round": 1, "seed": 0, "shard": 0, "threads": 1, "training": {"architecture": "alexnet-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.005, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 1, "first_step": 6, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/0"}, "state": {"job": "c09a51af69d5b44a9e6c77273dc485c3", "name": "state"}}', 'cpu', true, 'done', 0, 4, 'w2', 0.0, 5.0, 2, 1, 0, 0, -1, 3, '{"step": 0}', '{"loss": 2.0}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress) VALUES ('de91e3d9bb78ab7b7b3fe142bdf75cb1', 'vit-tiny/seed0/compress/float32', 'compress', 'vit-tiny', 0, '{"architecture": "vit-tiny", "classes": 10, "image_shape": [32, 32, 3], "method": "float32", "model": "vit-tiny", "seed": 0}', '{"state": {"job": "a59c40a36c637c5651da332ebd10ca50", "name": "state"}}', 'cpu', true, 'blocked', 1, 2, 0.0, 5.0, 2, 0, 0, 0, -1, 0, '{}');
INSERT INTO jobs (id, name, stage, model, steps, spec, inputs, needs, planned, state, undone_parents, remaining_path, affinity, not_before, lease_seconds, tries, attempts, failures, stuck_deaths, death_step, step, progress, metrics) VALUES ('ed02269db837c493eb776c37c84480a6', 'alexnet-tiny/seed0/train/r01.s1', 'train', 'alexnet-tiny', 3, '{"model": "alexnet-tiny", "round": 1, "seed": 0, "shard": 1, "threads": 1, "training": {"architecture": "alexnet-tiny", "classes": 10, "image_shape": [32, 32, 3], "recipe": {"augmentation": {"crop_padding": 2, "cutout": 0, "flip": true}, "batch_size": 64, "gradient_clip": 1.0, "label_smoothing": 0.0, "learning_rate": 0.005, "momentum": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_fraction": 0.05, "weight_decay": 0.05}, "seed": 0, "total_steps": 12}, "visit": {"epochs": 1, "first_epoch": 1, "first_step": 9, "steps": 3}}', '{"shard": {"job": null, "name": "train/7063bde79a73ff8e/400/2/1"}, "state": {"job": "dc4956729504235147ed95a0b7fbf322", "name": "state"}}', 'cpu', true, 'done', 0, 3, 'w2', 0.0, 5.0, 2, 1, 0, 0, -1, 3, '{"step": 0}', '{"loss": 1.875}');

INSERT INTO study (id, schema_version, name, document, notes, planned_at) VALUES (1, 4, 'small', '{"benchmark": {"batch_sizes": [1], "threads": [1]}, "dataset": "synthetic", "leases": {"seconds": 5.0, "tries": 2}, "models": [{"architecture": "vit-tiny", "compress": ["float32"], "name": "vit-tiny", "recipe": {"augmentation": {"crop_padding": null, "cutout": null, "flip": null}, "batch_size": null, "gradient_clip": null, "label_smoothing": null, "learning_rate": null, "momentum": null, "optimizer": null, "schedule": null, "warmup_fraction": null, "weight_decay": null}}, {"architecture": "alexnet-tiny", "compress": ["float32", "float16"], "name": "alexnet-tiny", "recipe": {"augmentation": {"crop_padding": null, "cutout": null, "flip": null}, "batch_size": null, "gradient_clip": null, "label_smoothing": null, "learning_rate": null, "momentum": null, "optimizer": null, "schedule": null, "warmup_fraction": null, "weight_decay": null}}], "name": "small", "seeds": [0], "shards": 2, "test_images": 100, "train_images": 400, "training": {"epochs": 2, "epochs_per_visit": 1, "mode": "relay", "threads": 1}}', '["Synthetic images say nothing about the models."]', 1700000873.5);

INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('33236916798f356106078b33276322d9', 1, 'w1', 'host-w1', 'cpu', 1700000001.5, 1700000001.5, 1700000063.0, 0, 2, 'expired', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('33236916798f356106078b33276322d9', 2, 'w2', 'host-w2', 'cpu', 1700000063.0, 1700000063.0, 1700000063.0, 2, 3, 'done', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, error, twin) VALUES ('5bf2f9e974a73661fad29550ded660c2', 1, 'w1', 'host-w1', 'cpu', 1700000469.0, 1700000469.0, 1700000469.0, 0, 0, 'failed', 'ValueError: the converter said "no"
and it''s 100 % sure', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, error, twin) VALUES ('5bf2f9e974a73661fad29550ded660c2', 2, 'w1', 'host-w1', 'cpu', 1700000870.5, 1700000870.5, 1700000870.5, 0, 0, 'failed', 'ValueError: the converter said "no"
and it''s 100 % sure', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', 1, 'w2', 'host-w2', 'cpu', 1700000064.5, 1700000064.5, 1700000064.5, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', 2, 'w2', 'host-w2', 'cpu', 1700000066.0, 1700000066.0, 1700000066.0, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', 3, 'w2', 'host-w2', 'cpu', 1700000067.5, 1700000067.5, 1700000067.5, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', 4, 'w1', 'host-w1', 'cpu', 1700000469.0, 1700000469.0, 1700000469.0, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', 5, 'w1', 'host-w1', 'cpu', 1700000870.5, 1700000870.5, 1700000870.5, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', 6, 'w1', 'host-w1', 'cpu', 1700000872.0, 1700000872.0, 1700000872.0, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', 7, 'w3', 'host-w3', 'cpu', 1700000873.5, 1700000873.5, 1700000873.5, 0, 0, 'cancelled', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('9192bc3ffd9288c897120fc44ec1dfda', 1, 'w1', 'host-w1', 'cpu', 1700000872.0, 1700000872.0, 1700000872.0, 0, 0, 'done', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('a417ecb2041358308a121cbad8b0015d', 1, 'w2', 'host-w2', 'cpu', 1700000064.5, 1700000064.5, 1700000064.5, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('a417ecb2041358308a121cbad8b0015d', 2, 'w2', 'host-w2', 'cpu', 1700000066.0, 1700000066.0, 1700000066.0, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('a417ecb2041358308a121cbad8b0015d', 3, 'w2', 'host-w2', 'cpu', 1700000067.5, 1700000067.5, 1700000067.5, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('a417ecb2041358308a121cbad8b0015d', 4, 'w1', 'host-w1', 'cpu', 1700000469.0, 1700000469.0, 1700000469.0, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('a417ecb2041358308a121cbad8b0015d', 5, 'w1', 'host-w1', 'cpu', 1700000870.5, 1700000870.5, 1700000870.5, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('a417ecb2041358308a121cbad8b0015d', 6, 'w1', 'host-w1', 'cpu', 1700000872.0, 1700000872.0, 1700000872.0, 0, 0, 'released', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, from_step, to_step, twin) VALUES ('a417ecb2041358308a121cbad8b0015d', 7, 'w2', 'host-w2', 'cpu', 1700000895.0, 1700000895.0, 0, 3, false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, from_step, to_step, twin) VALUES ('a417ecb2041358308a121cbad8b0015d', 8, 'w3', 'host-w3', 'cpu', 1700000900.0, 1700000900.0, 3, 3, true);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('c09a51af69d5b44a9e6c77273dc485c3', 1, 'w2', 'host-w2', 'cpu', 1700000064.5, 1700000064.5, 1700000064.5, 0, 3, 'done', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('dc4956729504235147ed95a0b7fbf322', 1, 'w2', 'host-w2', 'cpu', 1700000066.0, 1700000066.0, 1700000066.0, 0, 3, 'done', false);
INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome, twin) VALUES ('ed02269db837c493eb776c37c84480a6', 1, 'w2', 'host-w2', 'cpu', 1700000067.5, 1700000067.5, 1700000067.5, 0, 3, 'done', false);

INSERT INTO checkpoints (job, step, sha256, size, location) VALUES ('a417ecb2041358308a121cbad8b0015d', 3, 'e0d2747b9ab7abb6eb65e0373fa1b428a28bd6d8a2380106dcc080f58005ee14', 2, 'e0/e0d2747b9ab7abb6eb65e0373fa1b428a28bd6d8a2380106dcc080f58005ee14');

INSERT INTO edges (parent, child) VALUES ('02329b6ff41fba47312a37fe4dfc87c3', 'a6bd675f5b696751708bfe92da852121');
INSERT INTO edges (parent, child) VALUES ('18b022a6cd7b93cfb7488774bd3ba9b2', 'd7e13901bb5ebc31dd4295efbaf668ef');
INSERT INTO edges (parent, child) VALUES ('33236916798f356106078b33276322d9', 'c09a51af69d5b44a9e6c77273dc485c3');
INSERT INTO edges (parent, child) VALUES ('5bf2f9e974a73661fad29550ded660c2', '61681c40809f8e71d28ac913d260909d');
INSERT INTO edges (parent, child) VALUES ('719c058e321bd472323c2fd715f5781a', 'a59c40a36c637c5651da332ebd10ca50');
INSERT INTO edges (parent, child) VALUES ('7ca8bb63b9a3ca297306ec9e587621c7', '02329b6ff41fba47312a37fe4dfc87c3');
INSERT INTO edges (parent, child) VALUES ('9192bc3ffd9288c897120fc44ec1dfda', '11cc3eba942815ce51b74068de5b0cc9');
INSERT INTO edges (parent, child) VALUES ('9192bc3ffd9288c897120fc44ec1dfda', '61681c40809f8e71d28ac913d260909d');
INSERT INTO edges (parent, child) VALUES ('a417ecb2041358308a121cbad8b0015d', 'b7ed928e43d415d7324533f3e4435a6c');
INSERT INTO edges (parent, child) VALUES ('a59c40a36c637c5651da332ebd10ca50', 'de91e3d9bb78ab7b7b3fe142bdf75cb1');
INSERT INTO edges (parent, child) VALUES ('a6bd675f5b696751708bfe92da852121', '18b022a6cd7b93cfb7488774bd3ba9b2');
INSERT INTO edges (parent, child) VALUES ('b7ed928e43d415d7324533f3e4435a6c', '719c058e321bd472323c2fd715f5781a');
INSERT INTO edges (parent, child) VALUES ('c09a51af69d5b44a9e6c77273dc485c3', 'dc4956729504235147ed95a0b7fbf322');
INSERT INTO edges (parent, child) VALUES ('d7e13901bb5ebc31dd4295efbaf668ef', '14c882604f467c31907e06e66f6eb50f');
INSERT INTO edges (parent, child) VALUES ('dc4956729504235147ed95a0b7fbf322', 'ed02269db837c493eb776c37c84480a6');
INSERT INTO edges (parent, child) VALUES ('de91e3d9bb78ab7b7b3fe142bdf75cb1', '313531fe26eeac75f7aeaca440720664');
INSERT INTO edges (parent, child) VALUES ('ed02269db837c493eb776c37c84480a6', '5bf2f9e974a73661fad29550ded660c2');
INSERT INTO edges (parent, child) VALUES ('ed02269db837c493eb776c37c84480a6', '9192bc3ffd9288c897120fc44ec1dfda');

INSERT INTO outputs (job, name, sha256, size, location) VALUES ('33236916798f356106078b33276322d9', 'log', '663555dd495b3e9d76ff29dfb4be2e42f688ec06e9449fd8b85175077ee2de6a', 4, '66/663555dd495b3e9d76ff29dfb4be2e42f688ec06e9449fd8b85175077ee2de6a');
INSERT INTO outputs (job, name, sha256, size, location) VALUES ('9192bc3ffd9288c897120fc44ec1dfda', 'model', '9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4', 5, '93/9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4');
INSERT INTO outputs (job, name, sha256, size, location) VALUES ('c09a51af69d5b44a9e6c77273dc485c3', 'log', 'c46928bc87de23b9a8bd235aa1fe67ccb1542c8389ad3f02bf4ab5cff506e98f', 4, 'c4/c46928bc87de23b9a8bd235aa1fe67ccb1542c8389ad3f02bf4ab5cff506e98f');
INSERT INTO outputs (job, name, sha256, size, location) VALUES ('dc4956729504235147ed95a0b7fbf322', 'log', '73aaa5071d9f861550d51469cbd89e0a6e5371486fd94c9675281d1cefbd5117', 4, '73/73aaa5071d9f861550d51469cbd89e0a6e5371486fd94c9675281d1cefbd5117');
INSERT INTO outputs (job, name, sha256, size, location) VALUES ('ed02269db837c493eb776c37c84480a6', 'log', 'f25743e01a8d2faa127a86adc728bf034cb23a158ec792ee9a43c5c2cfad4aab', 4, 'f2/f25743e01a8d2faa127a86adc728bf034cb23a158ec792ee9a43c5c2cfad4aab');
INSERT INTO outputs (job, name, sha256, size, location) VALUES ('ed02269db837c493eb776c37c84480a6', 'state', '3911273c930c38cc7f253231f7c4770529152b01a8f69379115626a9b35e442b', 6, '39/3911273c930c38cc7f253231f7c4770529152b01a8f69379115626a9b35e442b');
