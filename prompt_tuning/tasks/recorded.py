"""Row counts and content hashes of the official data, to verify what a source delivers.

Task -> split -> (examples, `content_hash` of the split in the paper's format or None). The counts
are those of the paper's Table 7, of tensorflow-datasets' catalogue (glue 2.0.0, super_glue 1.0.2)
and, out-of-domain, of the MRQA 2019 shared task (the paper permutes them). ReCoRD's training
examples are one per gold answer, WSC's those with a true referent. A hash is on record where it
was computed from the whole official file.
"""

from prompt_tuning.tasks.pocket.recorded import POCKET

RECORDED: dict[str, dict[str, tuple[int, str | None]]] = {
    "dpr": {
        "train": (1322, None),
        "test": (564, None),
    },
    "glue/ax": {
        "test": (1104, None),
    },
    "glue/cola": {
        "train": (8551, None),
        "validation": (1043, None),
        "test": (1063, None),
    },
    "glue/mnli": {
        "train": (392702, None),
        "validation": (9815, None),
        "validation_mismatched": (9832, None),
        "test": (9796, None),
        "test_mismatched": (9847, None),
    },
    "glue/mnli_matched": {
        "validation": (9815, None),
        "test": (9796, None),
    },
    "glue/mnli_mismatched": {
        "validation": (9832, None),
        "test": (9847, None),
    },
    "glue/mrpc": {
        "train": (3668, None),
        "validation": (408, None),
        "test": (1725, None),
    },
    "glue/qnli": {
        "train": (104743, None),
        "validation": (5463, None),
        "test": (5463, None),
    },
    "glue/qqp": {
        "train": (363846, None),
        "validation": (40430, None),
        "test": (390965, None),
    },
    "glue/rte": {
        "train": (2490, None),
        "validation": (277, None),
        "test": (3000, None),
    },
    "glue/sst2": {
        "train": (
            67349,
            "3c818ef7f476a8a64689099f23294b45d62cd2c1eb60606ad0eef2a51606ad75",
        ),
        "validation": (
            872,
            "bb7670db2bb9702af237bc0ae59679a7d3fdd88caee81cbc0e026028e62d322c",
        ),
        "test": (1821, None),
    },
    "glue/stsb": {
        "train": (5749, None),
        "validation": (1500, None),
        "test": (1379, None),
    },
    "glue/wnli": {
        "train": (635, None),
        "validation": (71, None),
        "test": (146, None),
    },
    "mrqa/bioasq": {
        "validation": (1504, None),
    },
    "mrqa/drop": {
        "validation": (1503, None),
    },
    "mrqa/duorc": {
        "validation": (1501, None),
    },
    "mrqa/race": {
        "validation": (674, None),
    },
    "mrqa/relation_extraction": {
        "validation": (2948, None),
    },
    "mrqa/textbookqa": {
        "validation": (1503, None),
    },
    "squad": {
        "train": (87599, None),
        "validation": (10570, None),
    },
    "super_glue/axb": {
        "test": (1104, None),
    },
    "super_glue/axg": {
        "test": (
            356,
            "e5eac6f68a5cbb074cbc8c2ffe8002301995277aed8c113ace3e84933bd2a00f",
        ),
    },
    "super_glue/boolq": {
        "train": (9427, None),
        "validation": (
            3270,
            "167bc56f6a82c568de58bb47931424add6c59345947a43bd12e3912f640ccc81",
        ),
        "test": (3245, None),
    },
    "super_glue/cb": {
        "train": (
            250,
            "309b1b94f5c91620ea67bffd5c82822c42597a8864b4016eda25b977fdc0bbc5",
        ),
        "validation": (
            56,
            "09cfb75d6c35d7b487f83b79b11a5502054076140abfcb4b60ff7e0c32d5354d",
        ),
        "test": (250, None),
    },
    "super_glue/copa": {
        "train": (
            400,
            "55147cd03121534ecf8eff2734ed05a72c19f4b6ad72bf0ff6e4b59ac6a003c2",
        ),
        "validation": (
            100,
            "a2253d9e98b2e9fc6a45d575735d3180996fa3163569b27022a681ea99acf2e0",
        ),
        "test": (500, None),
    },
    "super_glue/multirc": {
        "train": (
            27243,
            "775720b653339ede9d0f933831e41996edb89136c9a421def2f75604409d462b",
        ),
        "validation": (
            4848,
            "a70ddc9ee9f785ee2d35d98f0bf8d747806af2ae82ee2fe8779e3047f4e2704d",
        ),
        "test": (9693, None),
    },
    "super_glue/record": {
        "train": (138854, None),
        "validation": (10000, None),
        "test": (10000, None),
    },
    "super_glue/rte": {
        "train": (
            2490,
            "c46462fd928376041461fab9c0aba1aa0f8b15c5ebbe198304a69534de97fa4c",
        ),
        "validation": (
            277,
            "a98e17442b657428a3b107add5ca9b0477682e06cd58ef43c22dfff105c76fd5",
        ),
        "test": (3000, None),
    },
    "super_glue/wic": {
        "train": (
            5428,
            "da8ab6a419d034194805e5e1ad76de1b882c8f1eb91166e6f4361dc44e3b807c",
        ),
        "validation": (
            638,
            "1f79a331ffb62a5278ccfc8bb58330b2c4a6f1820a47ee929bd26c36a15738ff",
        ),
        "test": (1400, None),
    },
    "super_glue/wsc": {
        "train": (
            259,
            "b3bf7dcc6acc6536db493cab7230c48cb834eb72ea901f2c3105d176ee504860",
        ),
        "validation": (
            104,
            "bfb316d12ae01884b6920612effeb60644ee373741ac0e1fd008b315f0fdd510",
        ),
        "test": (146, None),
    },
    **POCKET,
}
