"""The bytes of one example of each format, as docs/formats.md shows them."""

from __future__ import annotations

from postmill.shards.formats.encoders import Encoder

PLAIN = b"123456789"
CRC = 0xCBF43926  # of PLAIN: the check value of CRC-32 in every catalogue
FAKE_RUN = "f" * 8

TAR_HEADER = (
    b"7.json" + bytes(94) + b"0000644\0" + b"0000000\0" * 2 + b"00000000013\0" + b"00000000000\0" + b"007000\0 " + b"0"
    + bytes(100) + b"ustar\0" + b"00" + bytes(247)
)  # fmt: skip

RUN_JSON = """\
{
 "locations": {
  "images": "/data/a.zip",
  "influencers": "/data/influencers.txt",
  "mapping": "/data/mapping.txt",
  "metadata": "/data/info.zip"
 },
 "options": {
  "level": "default",
  "max_entry": 67108864,
  "raw": true,
  "shard_bytes": 268435456
 },
 "schema": 3,
 "sha256": "ed4bd6f9e311bbd18090397f77e403fdbd7ef552a66af4a5b206bd3bbfd96ef1",
 "sources": {
  "images": {
   "end_sha256": "01",
   "parts": [
    [
     "a.z01",
     10
    ],
    [
     "a.zip",
     5
    ]
   ]
  },
  "influencers": {
   "bytes": 8,
   "sha256": "03"
  },
  "mapping": {
   "bytes": 7,
   "sha256": "02"
  },
  "metadata": {
   "end_sha256": "00",
   "parts": [
    [
     "info.zip",
     4
    ]
   ]
  }
 },
 "version": "0.1.0"
}
"""

MANIFEST = """\
{
 "counts": {
  "faults": 0,
  "images": 1,
  "lost": 0,
  "misfits": 0,
  "posts": 1,
  "waiting": 0
 },
 "files": {
  "posts-000000.idx": {
   "blake3": "f3586be45a6224025f2d4578d5e9eb56501cb64905ba264a0e90d69f7e39dcb7",
   "bytes": 47
  },
  "posts-000000.tar": {
   "blake3": "92f5d2816c137e2383d5281799e1af017b5f42ea9711c51d9992054cf4897030",
   "bytes": 10240
  }
 },
 "info": {
  "faults": {}
 },
 "inputs": {},
 "run": "ffffffff",
 "schema": 3,
 "sha256": "0f597959d33d2fc994d2703d95fc6e58b9441bf20511ce0494ce93e7795ffd6a",
 "unit": "posts-000000"
}
"""

IDX = "v1.2 1\njson 512 11 7.json 0.jpg 1536 4 7.0.jpg\n"

SPOOL = """\
504d53504f4f4c32
05000000 ffff 0800 2639f4cb 0900000000000000 0b00000000000000 33343236313533b7b00400
06000000 0100 ffff 00000000 0000000000000000 2600000000000000
    7b22726561736f6e223a20226372635f77726f6e67222c202264657461696c223a202278227d
00000000 0000 0000 2639f4cb 0900000000000000 0900000000000000 313233343536373839
02000000 02000000 b40620b7 0800000000000000 6900000000000000
2c010000 01000000 7b7c4909 7100000000000000 2500000000000000
9600000000000000 0200000000000000 2a2edc65 504d53504f4f4c32
"""

INDEX_JSON = """\
{
 "__kind__": "wids-shard-index-v1",
 "name": "posts",
 "shardlist": [
  {
   "filesize": 10240,
   "nsamples": 1,
   "url": "posts-000000.tar"
  }
 ],
 "wids_version": 1
}
"""

SIZES_JSON = """\
{
 "posts-000000.tar": 1
}
"""

RECORD_JSON = (
    '{"key":"7","post_id":"7","post_hash":"00","influencer":"ann.lee","owner_id":null,"owner_username":null,'
    '"category":"food","followers":10,"followees":3,"influencer_posts":2,"shortcode":null,"post_type":"GraphImage",'
    '"taken_at":1550000000,"caption":"pão \\"fresco\\"\\n🍞","comments":null,"comments_read":0,"likes":5,'
    '"comment_count":0,"hashtags":["bread"],"tagged_users":[],"is_video":false,"is_sponsored":false,'
    '"is_verified":null,"is_private":null,"width":1080,"height":1350,"aspect_ratio":0.8,'
    '"accessibility_caption":null,"images":["7.jpg"],"missing_images":[]}'
)

ENCODER = Encoder(
    encoder="text",
    models="light",
    model="acme/Mini LM",
    revision="1",
    weights_sha256="00",
    precision="float32",
    dimensions=2,
    dtype="float16",
    scalars=("length",),
    features=(),
    available_before_publication=True,
    stand_in_for="",
    preprocessing={"lower": True},
)

ENCODER_JSON = """\
{
 "available_before_publication": true,
 "dimensions": 2,
 "dtype": "float16",
 "encoder": "text",
 "features": [],
 "model": "acme/Mini LM",
 "models": "light",
 "precision": "float32",
 "preprocessing": {
  "lower": true
 },
 "revision": "1",
 "scalars": [
  "length"
 ],
 "sha256": "62acebc2725c11c29002b523a8a7fcf936a48926e2ef7f35be982ba970774bd5",
 "stand_in_for": "",
 "weights_sha256": "00"
}
"""
