// What is typed one a line.
export const linesOf = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean);
