/** What `npx ortune download` knows: public addresses, where their files belong, and the checksums that are published. */
import { join } from 'node:path';

/** What a file is checked by. */
export interface Checksum {
  readonly algorithm: 'md5' | 'sha256';
  /** Lower-case hex digits; the first ones where no more are published. */
  readonly digest: string;
}

/** A file of a source. */
export interface SourceFile {
  readonly url: string;
  /** Name within the folder. */
  readonly name: string;
  /** Without one, what came is recorded, so that later changes are seen. */
  readonly checksum?: Checksum;
  /** An archive's contents, as a folder beside it; an only folder at the archive's top is left out. */
  readonly unpack?: {
    readonly as: string;
    /**
     * `always`: only the contents are of use and the archive is removed.
     * `on-request`: the archive is read as it is, and stays.
     */
    readonly when: 'always' | 'on-request';
  };
}

/** Something public that can be fetched. */
export interface DownloadSource {
  readonly name: string;
  readonly title: string;
  /** Folder that the files go to by default. */
  readonly to: string;
  readonly files: readonly SourceFile[];
  /** What to do with it, given the folder. */
  use(folder: string): string;
}

/** No file of any source comes near it; a server that sends more is not the one that was meant. */
export const LARGEST_FILE = 2 * 1024 ** 3;

const FLOWERS = 'http://www.robots.ox.ac.uk/~vgg/data/flowers/102';
const md5 = (digest: string): Checksum => ({ algorithm: 'md5', digest });

/** torchvision's file names carry the first digits of the SHA-256. */
function torchvision(name: string, version: string, digits: string): DownloadSource {
  const file = `resnet50-${digits}.pth`;
  return {
    name,
    title: `ResNet50 weights of torchvision, ImageNet-1k ${version}`,
    to: 'models',
    files: [
      {
        url: `https://download.pytorch.org/models/${file}`,
        name: file,
        checksum: { algorithm: 'sha256', digest: digits },
      },
    ],
    use: (folder) => `--weights ${join(folder, file)}`,
  };
}

export const SOURCES: readonly DownloadSource[] = [
  {
    name: 'flowers102',
    title: 'Oxford 102 Flowers, 8189 pictures',
    to: 'data/flowers102',
    files: [
      // The small ones first: what fails, fails early.
      { url: `${FLOWERS}/imagelabels.mat`, name: 'imagelabels.mat', checksum: md5('e0620be6f572b9609742df49c70aed4d') },
      { url: `${FLOWERS}/setid.mat`, name: 'setid.mat', checksum: md5('a5357ecc9cb78c4bef273ce3793fc85c') },
      {
        url: `${FLOWERS}/102flowers.tgz`,
        name: '102flowers.tgz',
        checksum: md5('52808999861908f626f3c1f4e79d11fa'),
        unpack: { as: 'jpg', when: 'on-request' },
      },
    ],
    use: (folder) => `--data ${folder}`,
  },
  {
    name: 'paddle-resnet50',
    title: "ResNet50 weights of PaddlePaddle, the tutorial's",
    to: 'models',
    files: [
      {
        url: 'http://paddle-imagenet-models-name.bj.bcebos.com/ResNet50_pretrained.zip',
        name: 'ResNet50_pretrained.zip',
        unpack: { as: 'ResNet50_pretrained', when: 'always' },
      },
    ],
    use: (folder) => `--weights ${join(folder, 'ResNet50_pretrained')}`,
  },
  torchvision('torchvision-resnet50', 'V1', '0676ba61'),
  torchvision('torchvision-resnet50-v2', 'V2', '11ad3fa6'),
  {
    name: 'timm-resnet50',
    title: 'ResNet50 weights of timm, resnet50.a1_in1k',
    to: 'models',
    files: [
      {
        url: 'https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors',
        name: 'resnet50.a1_in1k.safetensors',
      },
    ],
    use: (folder) => `--weights ${join(folder, 'resnet50.a1_in1k.safetensors')}`,
  },
];
