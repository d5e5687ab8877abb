/** How many columns show `count` pictures of 16:9 largest in a stage of that size; side by side if it is all one. Pure. */
export function gridColumns(count: number, width: number, height: number): number {
  let best = 1;
  let bestWidth = 0;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const pictureWidth = Math.min(width / columns, (height / rows) * (16 / 9));
    if (pictureWidth > bestWidth - 0.5) {
      best = columns;
      bestWidth = pictureWidth;
    }
  }
  return best;
}
