"""The white lists: the only formats that ffmpeg, Pillow and exiftool may take a file for.

They hold no playlist, no image sequence and nothing that reads other files or addresses (hls, dash,
concat, image2, sdp, imf …). Which names are media at all is decided in `dam_pipeline.formats`.
"""

PROTOCOLS = "file"
WINDOW_PROTOCOLS = "http,tcp"  # of a remote file that this process gives out on the loopback
DEMUXERS = ",".join(
    (
        "aac,ac3,aiff,amr,ape,asf,avi,caf,dv,eac3,flac,flv,gxf,h264,hevc,ivf,m4v,matroska,mov,mp3",
        "mpeg,mpegts,mpegtsraw,mpegvideo,mxf,nut,ogg,rm,tta,vc1,w64,wav,webm,wtv,wv",
    )
)
PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")  # MPO comes with JPEG
HEIF_FAMILY = frozenset({"AVIF", "HEIC", "HEIF", "HIF"})
RAW_FORMS = frozenset({"ARW", "CR2", "CR3", "DNG", "NEF", "ORF", "PEF", "RAF", "RW2", "SRW"})
EXIFTOOL_PICTURES = RAW_FORMS | HEIF_FAMILY | {"JPEG", "MPO", "PNG", "TIFF", "WEBP"}
