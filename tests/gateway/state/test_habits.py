"""What requests usually use."""

from gateway.state.habits import MOST_MODELS, Habit, Habits


def test_habit_follows_a_rise_faster_than_a_fall():
    rising, falling = Habit(100), Habit(100)
    rising.learn(200, 0)
    falling.learn(0, 0)
    assert rising.output_tokens - 100 > 100 - falling.output_tokens > 0


def test_each_model_has_a_habit_of_its_own_and_a_new_one_begins_as_usual():
    habits = Habits(1_000)
    for _ in range(50):
        habits.learn("small", 10, 0)
    large_usual = habits.usual.output_tokens
    habits.learn("large", 9_000, 0)
    assert habits.of("small").output_tokens < 20
    assert habits.of("large").output_tokens > 4_000
    assert habits.of("unknown") is habits.usual
    assert habits.usual.output_tokens > large_usual


def test_the_model_used_least_recently_is_forgotten():
    habits = Habits(1_000)
    for number in range(MOST_MODELS):
        habits.learn(f"model-{number}", 5, 0)
    habits.learn("model-0", 5, 0)
    habits.learn("one-more", 5, 0)
    assert habits.of("model-0") is not habits.usual
    assert habits.of("model-1") is habits.usual
