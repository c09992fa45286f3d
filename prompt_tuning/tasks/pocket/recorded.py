"""Row counts and content hashes of the pocket suite: what every machine must generate."""

POCKET: dict[str, dict[str, tuple[int, str | None]]] = {
    "pocket/boolq": {
        "train": (2400, "57be0b8a325d0d7ab247bdbaa8bc267cd724bbd2a93e0c6a2622c75762558ab9"),
        "validation": (480, "b174fa651e66fd9d2d7adc5c222893e88c822ecc866855713c9c6818e252c1af"),
        "test": (480, "2dc3b4ce20d8ff38705b0463be2c6eac1ec4a8336d8691779554af1478461860"),
    },
    "pocket/cb": {
        "train": (2400, "43b7a95bd0eac1babfbe196090228312c73e9ee3afa0b327f198a179ecbcf3de"),
        "validation": (480, "49ff12f93c56da119934c479f8384c4c65a7a31f782d68669ee128600fdc8409"),
        "test": (480, "955e4df034e817fcc8cb6fc65935262a3429b8452a550e6e9896d75091252afe"),
    },
    "pocket/copa": {
        "train": (2400, "27a2b56f539353df266e08aa8c77bdbd24bdf562bec87f9a9e85d9a4cf6e1e00"),
        "validation": (480, "4a8ab9c508a61e55c1e36696f23298e51c357d2b7e83dbbdf5ee050327ef5fad"),
        "test": (480, "7473f81e69b585e245b3ffb2afdd0c9ee832f96e23196d110150cc0871dea40c"),
    },
    "pocket/duorc": {
        "validation": (480, "2869c9448df3c70f33801cc8d72eaadc689e89295f8ed894368934587ee43e6f"),
        "test": (480, "8875e0dcc3051534f7c284b69c671f1efbc3f3589b1a344a43c1322f8061c727"),
    },
    "pocket/mrpc": {
        "train": (2400, "368637509590f384789695c6b35f08f46f99d4e5bf73b44dc74634f5d1679b30"),
        "validation": (480, "9b80dd75e134ac486f71bbefe7e5f69c153cf8244f9576fd74102a973a537717"),
        "test": (480, "f0200b4e69af7cf01cde5819cb4c664eb1913eb928fc7f70ae648d97aef2ae05"),
    },
    "pocket/mrpc_from_qqp": {
        "train": (2400, "f2f13013fda3d7a4bcf3f0186aeaba179eeb3df34b38df971859e0127610a7e6"),
        "validation": (480, "7be08106ef211d736411bcd3f4039683fc68131b3d339b5c1ea566cf01fe099a"),
        "test": (480, "6bd98cfadb10b2dfcb2681932a0290f6c96018cf2757e3814ec961f6872b370f"),
    },
    "pocket/multirc": {
        "train": (2400, "b357b9cd040ea1954ec38f25a7ac382e29bf3976a133d21f86835ba804990d00"),
        "validation": (480, "6bb9caa9ebe78b74cf7b52a93c28a7f61a1596da70447024ccec89c761769b5a"),
        "test": (480, "bd66ebd2c20e541b9a293554e7caf9c50583f375ffa6121598d58bf38babe352"),
    },
    "pocket/qqp": {
        "train": (2400, "adfa35c31eaf3d1157d96161c071262b8a46906868e3aedcae50c288bb86bbd5"),
        "validation": (480, "02019b92cc07185b61c063b8c5dc20e10892202afc303c45f6276f27ae709d18"),
        "test": (480, "48a2143a20ed900dfdc77a9f8ec8c6018d19f5173cb89afc531f9131dc9f0e3f"),
    },
    "pocket/qqp_from_mrpc": {
        "train": (2400, "ca3979c3f20e03b15ce5025359990d7a4e5595aa4ce22066cb2b96f3e3f369a0"),
        "validation": (480, "e8d1b570b5a2b76412637fc59330f3128816858561ec327a03f5a443d22561ab"),
        "test": (480, "ac33f9e201599950d97b1bb4dc3716fa4896656f02bcbe3c48ba43766a128dc5"),
    },
    "pocket/rte": {
        "train": (2400, "afc8bd408e5bf84fb3d2adc27cc866aa7427166276e5a31e38f1b53cc54088d9"),
        "validation": (480, "43772fa9db223ff608c2db9082086e22ae75a42103b410ecf177c7760d502a54"),
        "test": (480, "e26925eecf148b3fcb315d1d707851669a70bcc334c6c37957514b03973b9271"),
    },
    "pocket/squad": {
        "train": (2400, "207cd11330b8a82e3f3b667d53e0d85061466e752ea8acd8c7f1acd0d89a1250"),
        "validation": (480, "b9ea6210beb0d3e5ef9e50422fd2712ed7c75acbbc1cba48fbb31f940a171656"),
        "test": (480, "314b80ec9ac0f9f457bfd4735fad2f92e23a774d2ad0e73aabdebf2aa5f3eb9c"),
    },
    "pocket/sst2": {
        "train": (2400, "97272f8d0a19cfa8016c5277ac7b6dc496176b19fb7095b7c727d02d52715b0e"),
        "validation": (480, "296bcd7a948fe15073c808a5cf0c9e9bea59dc6d85bbc959d72ab0afd28e5d2f"),
        "test": (480, "710abd97ceab54799b693075def254cccb8fa80dd41c74ca0542c1b0c70424ea"),
    },
    "pocket/textbookqa": {
        "validation": (480, "ca56152d12f63b10e16f33fecf521f031ce47c6359b260874ecaf5b8e30420c5"),
        "test": (480, "f9b9bdc5a6428e4e7f8f810f0212260ccd19a39c5945f0c69ffc914f5f435983"),
    },
    "pocket/topic": {
        "train": (2400, "131d0b3de9292bd8d7480c028042bfef842c1e91787deb67fd2db4b44270f72c"),
        "validation": (480, "2d7e2c5981be04642b301c03c11426336c316abe3c8b258e0176b097eb888d3f"),
        "test": (480, "9731089209c43e73bb4eb30d29bd5dd4fa4f200e99265086dd5932f12a61742b"),
    },
    "pocket/wic": {
        "train": (2400, "535c8915f47843529620c9255e8bd1737b479fa3f79e9376e16e47f8e2c6904b"),
        "validation": (480, "302b9154cb5cf2cd40f16caeb3c41ddc31a5d37b2378a35e0f3d13859dabdd89"),
        "test": (480, "556266a4dff46d0a5aabae70c01d39d2655c00c32a5a4bc2e03669e66cd39806"),
    },
}
