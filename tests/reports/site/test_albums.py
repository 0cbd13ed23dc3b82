"""Pictures of several sources of the same test images, in one album."""

from __future__ import annotations

import shutil
from pathlib import Path

from reports import results
from reports.site import albums
from reports.site.gather import Source, gather
from tests.reports import made_up
from tests.reports.site.test_gather import rows


def test_methods_of_several_sources_stand_beside_each_other(tmp_path: Path) -> None:
    packed = made_up.write_run(tmp_path / "a", rows().query("title != 'GRIG'"), pictures=3)
    for folder in (packed / "samples").rglob("original"):
        shutil.rmtree(folder)
    sources = [Source("a", packed), Source("b", made_up.write_run(tmp_path / "b", rows(), pictures=2))]
    found = [results.load(source.folder) for source in sources]
    boards = gather(sources, found)
    made = albums.gather(boards, found)
    assert [(album.dataset, album.condition) for album in made] == [
        ("made-up faces", "irregular 10-20%"),
        ("made-up faces", "center 25%"),
    ]
    album = made[0]
    titles = [title for title, _ in album.variants]
    assert titles == ["Original", "Input", "GRIG", "Mean colour", "Telea", "AOT-GAN"]
    theirs = {title: folder.relative_to(tmp_path).parts[0] for title, folder in album.variants}
    assert theirs == dict.fromkeys(titles[:3], "b") | dict.fromkeys(titles[3:], "a")
    assert [len(files) for files in album.files] == [2, 2, 2, 3, 3, 3]
    assert album.names == ["000.png", "001.png", "002.png"]
    psnr = next(texts for title, _, texts in album.scores if title == "PSNR")
    assert [sum(map(bool, of_variant)) for of_variant in psnr] == [0, 0, 2, 3, 3, 3]
