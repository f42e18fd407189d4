"""thinkingConfig: budgets and levels of each model."""

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json, Refusal


def check(config: Json | None, model: Model) -> None:
    """Refuse a thinkingConfig that *model* does not accept."""
    if config is None:
        return
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    if budget is not None and level is not None:
        raise Refusal("You can only set only one of thinking budget and thinking level.")
    if not model.thinking:
        raise Refusal("Thinking is not enabled for this model")
    if level is not None:
        _check_level(level, model)
    if budget is not None:
        _check_budget(budget, model)


def _check_level(level: str, model: Model) -> None:
    if not model.levels:
        raise Refusal("Thinking level is not supported for this model.")
    if level not in model.levels:
        raise Refusal(f"Thinking level {level} is not supported for this model.")


def _check_budget(budget: int, model: Model) -> None:
    if model.budget is None:
        # Models with levels accept the older budgets, but they cannot be turned off.
        if budget == 0 and "MINIMAL" not in model.levels:
            raise Refusal("Budget 0 is invalid. This model only works in thinking mode.")
        return
    least, greatest = model.budget
    if budget == -1 or (budget == 0 and model.budget_off):
        return
    if budget == 0:
        raise Refusal("Budget 0 is invalid. This model only works in thinking mode.")
    if not least <= budget <= greatest:
        raise Refusal(
            f"The thinking budget {budget} is invalid. Please choose a value between {least} and"
            f" {greatest}."
        )
