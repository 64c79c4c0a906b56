"""Which variables a training leaves alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from odflow.errors import ConfigError, nearest
from odflow.training.settings import Training


def check_patterns(training: Training) -> None:
    """See that the patterns of variables are regular expressions; what they match is known later.

    Raises:
        ConfigError: some are not; one line for each.
    """
    wrong: list[str] = []
    for field in ("update_trainable_variables", "freeze_variables"):
        for pattern in getattr(training, field):
            _compiled(field, pattern, wrong)
    if wrong:
        raise ConfigError(*wrong)


TF1_SCOPES = {
    "model/_feature_extractor/": "FeatureExtractor/",
    "model/_feature_extractor_for_proposal_features/": "FirstStageFeatureExtractor/",
    "model/_feature_extractor_for_box_classifier_features/": "SecondStageFeatureExtractor/",
    "model/_mask_rcnn_box_predictor/": "SecondStageBoxPredictor/",
}
"""The API's TensorFlow 1 scopes of parts whose variables have another beginning in TensorFlow 2."""


def trained_names(names: Mapping[str, Sequence[str]], training: Training) -> list[str]:
    """Choose by `update_trainable_variables`, then by `freeze_variables`.

    As in the API, a pattern is a regular expression that must match from the beginning
    of a name, not to its end. Frozen batch norms still gather their statistics, unless
    the model's own `freeze_batchnorm` says otherwise. Configs of TensorFlow 1 name whole parts by
    their scopes (`FirstStageFeatureExtractor`); before each name stands the scope too.

    Args:
        names: each variable's checkpoint key, and the names that patterns may mean it by.
        training: the patterns.

    Returns:
        The keys of what is trained, in their order.

    Raises:
        ConfigError: a pattern is no regular expression or matches no variable, or nothing
            is left to train; one line for each.
    """
    wrong: list[str] = []
    names = {key: [*others, *_scoped(key, others)] for key, others in names.items()}

    def matched(field: str, patterns: Sequence[str]) -> set[str]:
        found = {pattern: _matches(field, pattern, names, wrong) for pattern in patterns}
        return set().union(*found.values())

    updated = matched("update_trainable_variables", training.update_trainable_variables)
    frozen = matched("freeze_variables", training.freeze_variables)
    if wrong:
        raise ConfigError(*wrong)
    chosen = updated if training.update_trainable_variables else set(names)
    trained = [key for key in names if key in chosen and key not in frozen]
    if not trained:
        raise ConfigError(
            f"train_config.freeze_variables and update_trainable_variables leave none of the {len(names)} "
            "variables to train. Take a pattern out."
        )
    return trained


def _scoped(key: str, names: Sequence[str]) -> list[str]:
    scope = next((scope for place, scope in TF1_SCOPES.items() if key.startswith(place)), None)
    return [f"{scope}{name}" for name in names] if scope else []


def _matches(field: str, pattern: str, names: Mapping[str, Sequence[str]], wrong: list[str]) -> set[str]:
    expression = _compiled(field, pattern, wrong)
    if expression is None:
        return set()
    found = {key for key, others in names.items() if any(map(expression.match, (key, *others)))}
    if not found:
        known = [name for key, others in names.items() for name in (key, *others)]
        plain = re.sub(r"\.\*|[\\^$]", "", pattern)
        wrong.append(
            f'train_config.{field}: "{pattern}" matches the beginning of no variable.{_nearest(plain, known)}'
        )
    return found


def _compiled(field: str, pattern: str, wrong: list[str]) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error as error:
        wrong.append(f'train_config.{field}: "{pattern}" is no regular expression: {error}.')
        return None


def _nearest(word: str, known: Sequence[str]) -> str:
    """Names that hold the word, else the nearest beginnings of names."""
    holding = [name for name in known if word in name]
    if holding:
        return f' "{holding[0]}" holds it further on: put .* before it.'
    depth = word.rstrip("/").count("/") + 1
    return nearest(word, {"/".join(name.split("/")[:depth]) for name in known})
