"""Speech: what a client asks for of formats, voices and speakers, and what it can play."""

import io
import math
import struct
import threading
import wave
from base64 import b64decode, b64encode

import pytest

from gateway.dialects.openai_chat.reply.encoders import ENCODERS, Wav
from tests.faults.scripted import ScriptedUpstream, answer, stream
from tests.running import settings_for

TTS = "gemini-3.8-flash-tts"
MAGIC = {
    "wav": b"RIFF",
    "mp3": (b"\xff", b"ID3"),
    "flac": b"fLaC",
    "opus": b"OggS",
    "aac": b"\xff\xf1",
}


def tone(rate: int) -> bytes:
    """Return one second of samples."""
    turns = (2 * math.pi * 440 * n / rate for n in range(rate))
    return b"".join(struct.pack("<h", int(9000 * math.sin(turn))) for turn in turns)


def said(rate: int) -> list[dict]:
    """Return the events of an answer of one second, cut within a sample."""
    mime, sound = f"audio/L16;codec=pcm;rate={rate}", tone(rate)
    cut = len(sound) // 2 + 1
    parts = [
        {"inlineData": {"mimeType": mime, "data": b64encode(piece).decode()}}
        for piece in (sound[:cut], sound[cut:])
    ]
    ends = ({}, {"finishReason": "STOP"})
    return [
        {"candidates": [{"content": {"role": "model", "parts": [part]}, **end}]}
        for part, end in zip(parts, ends, strict=True)
    ]


def whole(events: list[dict]) -> dict:
    """Return *events* as one body."""
    parts = [part for one in events for part in one["candidates"][0]["content"]["parts"]]
    content = {"role": "model", "parts": parts}
    return {"candidates": [{"content": content, "finishReason": "STOP"}]}


async def sound(gateway, *, streaming, **audio) -> bytes:
    """Return the file that a client gets which asks for speech."""
    fields = {"model": TTS, "modalities": ["audio"], "audio": audio}
    if not streaming:
        status, body, _ = await gateway.whole(**fields)
        assert status == 200, body
        return b64decode(body["choices"][0]["message"]["audio"]["data"])
    got = await gateway.stream(**fields)
    deltas = [choice["delta"] for chunk in got.chunks for choice in chunk["choices"]]
    return b"".join(b64decode(delta["audio"]["data"]) for delta in deltas if "audio" in delta)


def seconds(data: bytes) -> float:
    """Return how long *data* plays, as another program reads it."""
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples for frame in frames) / frames[0].sample_rate


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streaming(request) -> bool:
    return request.param


@pytest.fixture
async def speaking(running, streaming):
    """Return a function that asks a gateway whose upstream speaks at *rate* for *audio*."""

    async def speak(rate: int, **audio) -> bytes:
        events = said(rate)
        script = stream(*events) if streaming else answer(200, whole(events))
        async with (
            ScriptedUpstream(script) as upstream,
            running(settings_for(upstream.url)) as gateway,
        ):
            return await sound(gateway, streaming=streaming, **audio)

    return speak


@pytest.mark.parametrize("name", MAGIC)
async def test_the_client_gets_the_format_it_asks_for(speaking, name):
    """It plays for as long as Gemini spoke."""
    if name not in {"wav", "mp3"}:
        pytest.importorskip("av")
    data = await speaking(24_000, voice="alloy", format=name)
    assert data.startswith(MAGIC[name])
    assert seconds(data) == pytest.approx(1, abs=0.12)


async def test_samples_are_those_that_gemini_sent(speaking):
    assert await speaking(24_000, voice="alloy", format="pcm16") == tone(24_000)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
async def test_a_wav_file_says_the_rate_that_gemini_announced(speaking, rate):
    data = await speaking(rate, voice="alloy", format="wav")
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, 1, 2)
        assert file.readframes(rate) == tone(rate)


async def test_no_sound_is_encoded_on_the_event_loop(speaking, monkeypatch):
    """Some models speak minutes in one event, and a minute takes up to half a second."""
    threads = []

    class Watched(Wav):
        def encode(self, pcm: bytes) -> bytes:
            threads.append(threading.current_thread())
            return super().encode(pcm)

    monkeypatch.setitem(ENCODERS, "wav", Watched)
    assert (await speaking(24_000, voice="alloy", format="wav")).startswith(b"RIFF")
    assert threads
    assert threading.main_thread() not in threads


VOICES = {"alloy": "Kore", "Kore": "Kore", "kore": "Kore", "verse": "Puck"}


async def asked(running, simulator, **fields) -> tuple[int, dict, dict]:
    """Return status, body and the settings that came up of a request for speech."""
    async with running(settings_for(simulator.url)) as gateway:
        status, body, _ = await gateway.whole(model=TTS, **fields)
    return status, body, simulator.received[-1].body["generationConfig"]


@pytest.mark.parametrize("voice", VOICES)
async def test_voices_go_by_openais_names_and_geminis(running, simulator, voice):
    audio = {"voice": voice, "format": "wav"}
    status, _, config = await asked(running, simulator, modalities=["audio"], audio=audio)
    assert status == 200
    prebuilt = {"prebuiltVoiceConfig": {"voiceName": VOICES[voice]}}
    assert config["speechConfig"] == {"voiceConfig": prebuilt}


async def test_a_voice_that_gemini_does_not_have_is_refused_by_its_name(running, simulator):
    audio = {"voice": "Pavarotti", "format": "wav"}
    status, body, _ = await asked(running, simulator, modalities=["audio"], audio=audio)
    assert status == 400
    assert "pavarotti" in body["error"]["message"].lower()


async def test_two_speakers_have_their_own_voices(running, simulator):
    speakers = [
        {"speaker": name, "voice_config": {"prebuilt_voice_config": {"voice_name": voice}}}
        for name, voice in (("Ann", "alloy"), ("Bob", "Puck"))
    ]
    speech = {"multi_speaker_voice_config": {"speaker_voice_configs": speakers}}
    status, body, config = await asked(running, simulator, google={"speech_config": speech})
    assert status == 200
    assert body["choices"][0]["message"]["audio"]["data"]
    several = config["speechConfig"]["multiSpeakerVoiceConfig"]["speakerVoiceConfigs"]
    assert [
        (one["speaker"], one["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"]) for one in several
    ] == [("Ann", "Kore"), ("Bob", "Puck")]
