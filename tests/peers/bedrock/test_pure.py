#!/usr/bin/python3
"""The pure parts of the bedrock dialect beside what others wrote: event streams by Smithy's codec for JavaScript, signatures
by botocore. test_pure.py BUILD [SEED]; the seed is printed."""

import os
import random
import subprocess
import sys
import unittest
import urllib.parse

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import npm  # noqa: E402

try:
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
except ImportError:
    botocore = None

FRAMES = 3000
SIGNATURES = 500
BUILD = SEED = None


def lines(mode, text):
    run = subprocess.run([os.path.join(BUILD, "tests", "bedrock_lines"), mode], input=text, capture_output=True, text=True, timeout=60)
    return run.stdout.splitlines()


@unittest.skipUnless(npm.there(), "there is no node or npm: install the packages of group llm")
class Frames(unittest.TestCase):
    def test_each_says_the_same(self):
        into = os.path.join(BUILD, "bedrock-sdk")
        npm.fetch(HERE, into, "frames.mjs")
        made = subprocess.run(["node", "frames.mjs", str(SEED), str(FRAMES)], cwd=into, capture_output=True, text=True, check=True,
                              timeout=60).stdout.splitlines()
        frames, wanted = zip(*(line.split(" ", 1) for line in made))
        self.assertEqual(len(frames), FRAMES)
        self.assertNotIn("?", wanted)
        for frame, ours, theirs in zip(frames, lines("frames", "\n".join(frames) + "\n"), wanted, strict=True):
            if theirs == "BAD":
                self.assertIn(ours, ("SIZE", "CHECKSUM", "HEADERS", "CUT"), frame)
            else:
                self.assertEqual(ours, theirs, frame)


@unittest.skipUnless(botocore, "python3-botocore is not installed: install the packages of group test")
class Signatures(unittest.TestCase):
    def theirs(self, key, secret, token, region, method, host, path, query, seconds, content_type, body):
        clock = botocore.auth.datetime.datetime

        class Then(clock):
            @classmethod
            def utcnow(cls):
                return clock.utcfromtimestamp(seconds)

        url = f"https://{host}{path}" + (f"?{query}" if query else "")
        request = botocore.awsrequest.AWSRequest(method, url, {"Content-Type": content_type}, body)
        botocore.auth.datetime.datetime = Then
        try:
            credentials = botocore.credentials.Credentials(key, secret, token)
            botocore.auth.SigV4Auth(credentials, "bedrock", region).add_auth(request)
        finally:
            botocore.auth.datetime.datetime = clock
        return request.headers["Authorization"]

    def test_each_signs_the_same(self):
        """With and without a token of a session, paths that are encoded and so encoded twice, queries, blanks in a header's value."""
        rng = random.Random(SEED)
        models = ("anthropic.claude-3-5-sonnet-20240620-v1%3A0", "amazon.titan-embed-text-v2%3A0", "plain", "a~b_c-d.e",
                  "arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.meta.llama3-2-1b-instruct-v1%3A0")
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        asked, wanted = [], []
        for _ in range(SIGNATURES):
            word = lambda size: "".join(rng.choices(letters, k=size))  # noqa: E731
            region = rng.choice(("us-east-1", "eu-central-1", "us-gov-west-1"))
            posts = rng.random() < 0.7
            path = rng.choice(("", "/mock/a=b,c=d")) + (
                f"/model/{rng.choice(models)}/" + rng.choice(("converse", "converse-stream", "invoke")) if posts
                else rng.choice(("/foundation-models", "/inference-profiles")))
            query = "" if posts else rng.choice(("", "maxResults=1000", f"maxResults=1000&nextToken={urllib.parse.quote(word(30), safe='')}"))
            content_type = rng.choice(("application/json", "  application/json", "application/json;  charset=utf-8 ", "a  b   c"))
            case = (word(20), word(40), rng.choice((None, word(900))), region, "POST" if posts else "GET",
                    rng.choice((f"bedrock-runtime.{region}.amazonaws.com", "127.0.0.1:8080")), path, query,
                    rng.randrange(1_400_000_000, 4_000_000_000), content_type, rng.randbytes(rng.randrange(2000)) if posts else b"")
            key, secret, token, region, method, host, path, query, seconds, content_type, body = case
            asked.append(f"{key} {secret} {token or '-'} {region} {method} {host} {path} {query or '-'} {seconds} "
                         f"{content_type.encode().hex()} {body.hex() or '-'}")
            wanted.append(self.theirs(*case))
        for question, ours, theirs in zip(asked, lines("sign", "\n".join(asked) + "\n"), wanted, strict=True):
            self.assertEqual(ours, theirs, question)


if __name__ == "__main__":
    BUILD = sys.argv[1]
    SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**31)
    print(f"seed {SEED}", flush=True)
    unittest.main(argv=sys.argv[:1])
