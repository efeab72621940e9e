// Where things stand on this phone: IndexedDB, or, where a browser allows none, the memory of this page.

const NAME = "citybrain-report";
const KEYS = { outbox: "id", sent: "id", recent: "code" };

export async function openShelf() {
  try {
    return new Shelf(await open());
  } catch {
    return new Memory();
  }
}

function open() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      for (const [name, keyPath] of Object.entries(KEYS)) asked.result.createObjectStore(name, { keyPath });
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

class Shelf {
  lasting = true;

  constructor(database) {
    this.database = database;
  }

  all(name) {
    return new Promise((resolve, reject) => {
      const asked = this.database.transaction(name).objectStore(name).getAll();
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  }

  // Changes are [shelf, "put", thing], [shelf, "delete", key] or [shelf, "clear"]: all of them or none, and on the
  // phone's disk when this is done. A full phone rejects with QuotaExceededError.
  write(...changes) {
    return new Promise((resolve, reject) => {
      const names = [...new Set(changes.map(([name]) => name))];
      const change = this.database.transaction(names, "readwrite", { durability: "strict" });
      change.oncomplete = () => resolve();
      change.onabort = () => reject(change.error);
      for (const [name, how, ...what] of changes) change.objectStore(name)[how](...what);
    });
  }
}

class Memory {
  lasting = false;
  shelves = Object.fromEntries(Object.keys(KEYS).map((name) => [name, new Map()]));

  async all(name) {
    return [...this.shelves[name].values()];
  }

  async write(...changes) {
    for (const [name, how, what] of changes) {
      if (how === "put") this.shelves[name].set(what[KEYS[name]], what);
      else this.shelves[name][how](what);
    }
  }
}
