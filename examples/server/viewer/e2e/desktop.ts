/** Something worth sharing on the display of the check, and the way to share it. */
import type { Browser, Page } from 'playwright-core';
import { until } from './harness.ts';

/** Shares the whole screen from a page whose token allows it. */
export async function startSharing(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Share this screen' }).click();
  await until('sharing', () => page.evaluate(() => ycViewer.sharing() === 'sharing'));
}

/** Puts a window in front that never stands still, with a magenta square in the middle of the screen. */
export async function animate(browser: Browser): Promise<void> {
  const page = await (await browser.newContext({ viewport: null })).newPage();
  await page.setContent(`<body style="margin:0;background:#123"><canvas style="position:fixed;inset:0;width:100vw;height:100vh"></canvas></body>`);
  await page.evaluate(() => {
    const canvas = document.querySelector('canvas')!;
    canvas.width = innerWidth;
    canvas.height = innerHeight;
    const context = canvas.getContext('2d')!;
    let n = 0;
    const draw = (): void => {
      n += 1;
      context.fillStyle = '#123';
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = '#eee';
      context.font = '24px monospace';
      for (let line = 0; line < 24; line += 1) context.fillText(`${n + line} the quick brown fox jumps over the lazy dog`, 40, 40 + line * 28);
      context.fillStyle = '#4f8';
      context.fillRect((n * 7) % canvas.width, canvas.height - 60, 50, 50);
      context.fillStyle = '#f0f';
      const inPage = screen.height / 2 - screenY - (outerHeight - innerHeight);
      context.fillRect(canvas.width / 2 - 150, inPage - 100, 300, 200);
      requestAnimationFrame(draw);
    };
    draw();
  });
  await page.bringToFront();
}
