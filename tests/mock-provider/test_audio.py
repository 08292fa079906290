#!/usr/bin/python3
"""The mock provider's OpenAI dialect of sound over real sockets: test_audio.py PROGRAM. Forms in, recordings out."""

import hashlib
import sys
import unittest

sys.dont_write_bytecode = True

from mock_client import Mock  # noqa: E402

PROGRAM = ""
SOUND = bytes(range(256)) * 20
LISTEN, SPEAK = "/v1/audio/transcriptions", "/v1/audio/speech"


def form(fields, boundary="b0"):
    """A form's bytes; a field is (name, value) or (name, value, file name)."""
    parts = [b"--%s\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n%s\r\n"
             % (boundary.encode(), name.encode(), b"; filename=\"%s\"" % more[0].encode() if more else b"",
                value if isinstance(value, bytes) else value.encode()) for name, value, *more in fields]
    return b"".join(parts) + b"--" + boundary.encode() + b"--\r\n"


class Audio(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mock = Mock(PROGRAM)
        cls.addClassCleanup(cls.mock.__exit__)

    def listen(self, *fields, knobs="", body=None, type="multipart/form-data; boundary=b0"):
        path = (f"/mock/{knobs}" if knobs else "") + LISTEN
        return self.mock.ask("POST", path, form(fields) if body is None else body, [f"Content-Type: {type}"])

    def speak(self, knobs="", **members):
        return self.mock.ask("POST", (f"/mock/{knobs}" if knobs else "") + SPEAK, {"model": "m", "input": "hi", "voice": "alloy", **members})

    def test_transcriptions(self):
        reply = self.listen(("model", "m"), ("file", SOUND, "a.wav"), knobs="echo").json()
        self.assertEqual(reply["text"], hashlib.sha256(SOUND).hexdigest())
        reply = self.listen(("file", SOUND, "a.mp3"), ("model", "m"), ("response_format", "verbose_json"), ("language", "en"),
                            ("timestamp_granularities[]", "segment"), knobs="tokens=3").json()
        self.assertEqual((len(reply["text"].split()), len(reply["segments"]), reply["duration"]), (3, 2, 2.5))

    def test_forms_that_are_none(self):
        good = form([("model", "m"), ("file", SOUND, "a.wav")])
        for body in (b"", b"--b1" + good[4:], good[:-4], good[2:], good + b"x", form([("", "x")])):
            self.assertEqual(self.listen(body=body).error()[0], 400, body[:40])
        self.assertEqual(self.listen(("model", "m"), type="application/json").error()[0], 400)

    def test_refused(self):
        file = ("file", SOUND, "a.wav")
        for fields, param, code in [
                ((("model", "m"),), "file", "missing_required_parameter"), ((file,), None, None),
                ((("model", "m"), ("file", SOUND, "a.txt")), "file", None), ((("model", "m"), ("file", b"", "a.wav")), "file", None),
                ((("model", "m"), file, ("language", "english")), "language", "invalid_language_format"),
                ((("model", "m"), file, ("response_format", "xml")), "response_format", "unsupported_value"),
                ((("model", "m"), file, ("timestamp_granularities[]", "word")), "timestamp_granularities", None),
                ((("model", "gpt-4o-transcribe"), file, ("response_format", "verbose_json")), "response_format", "unsupported_value"),
                ((("model", "m"), file, ("temperature", "2")), "temperature", "invalid_value"),
                ((("model", "m"), file, ("temperature", "warm")), "temperature", "invalid_value"),
                ((("model", "m"), file, ("stream", "yes")), "stream", "invalid_type"),
                ((("model", "m"), ("model", "m"), file), "form", "duplicate_parameter"),
                ((("model", "m"), file, ("wonder", "1")), "form", "unknown_parameter")]:
            with self.subTest(param, code=code):
                status, error = self.listen(*fields).error()
                self.assertEqual((status, error["param"], error["code"]), (400, param, code))

    def test_speech(self):
        answer = self.speak(knobs="bytes=300")
        self.assertEqual((answer.status, answer.headers["content-type"], len(answer.body)), (200, "audio/mpeg", 300))
        self.assertEqual(answer.body[:3], bytes([0, 7, 14]))
        for members in ({"input": ""}, {"input": "x" * 4097}, {"voice": None}, {"response_format": "ogg"}, {"speed": 5}, {"wonder": 1},
                        {"input": 1}, {"voice": 7}, {"speed": "1"}, {"stream_format": "wav"}):
            self.assertEqual(self.speak(**members).error()[0], 400, members)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
