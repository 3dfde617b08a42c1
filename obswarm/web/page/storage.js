// Choices of the person in front of the browser, which it keeps.

/* The list that is kept under a name. A browser may forbid the storage; choices then last as long as the page. */
export const stored = (key) => {
  try {
    const found = JSON.parse(localStorage.getItem(key));
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
};

export const store = (key, list) => {
  try {
    localStorage.setItem(key, JSON.stringify(list));
  } catch {
    /* see above */
  }
};
