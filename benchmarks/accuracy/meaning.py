"""Is a sentence found by other words of the same meaning, and nothing by what nobody said?

Two sets of sentences with queries that share few of their words, and queries about what is in neither.
The floor of the sentence space was chosen on set `tune`; figures are kept of set `held-out`. Spoken
English as a transcript has it; MiniLM knows little else. `--folder F`: NAME.json with {"said": [[text,
query], …], "absent": [query, …]}.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import keep, tell

from dam_pipeline.models import SentenceModel, open_sentence
from dam_pipeline.settings import load_settings

TOP = 5

SETS: dict[str, dict[str, list]] = {
    "tune": {
        "said": [
            ["The fishermen come home before the storm.", "boats returning ahead of bad weather"],
            ["Our train leaves at half past seven.", "departure time of the railway"],
            ["She painted the old wooden door dark green.", "giving an entrance a new colour"],
            ["Nobody expected the river to rise so quickly.", "a surprising flood"],
            ["The children are playing football behind the school.", "kids kicking a ball"],
            ["In winter the lake is frozen for three months.", "ice on the water in the cold season"],
            ["He repairs bicycles in a small workshop.", "a man who fixes bikes"],
            ["The museum will open its new wing in September.", "an exhibition building gets larger"],
            ["Farmers bring fresh vegetables to the market.", "selling produce at the stalls"],
            ["The orchestra rehearsed the second movement.", "musicians practising together"],
            ["My grandmother bakes bread in a stone oven.", "an old woman making loaves"],
            ["Many people were waiting for the last bus.", "a crowd at the stop late at night"],
            ["We had to cancel the flight because of fog.", "the plane could not take off"],
            ["The doctor told him to rest for a week.", "medical advice to take it easy"],
            ["Prices for houses have doubled in ten years.", "the cost of buying a home went up"],
            ["The dog barked at the postman all morning.", "a noisy pet and the mail carrier"],
            ["They planted two hundred trees along the road.", "making the street greener"],
            ["I lost my keys somewhere in the park.", "something went missing outdoors"],
            ["The mayor promised to build a new bridge.", "a politician announces construction"],
            ["Our team scored in the last minute.", "a late goal won the match"],
            ["The soup needs more salt and a little pepper.", "seasoning a dish"],
            ["She has studied law in Paris since last autumn.", "a student at university in France"],
            ["The factory closed and six hundred workers lost their jobs.", "mass layoffs"],
            ["We saw whales from the deck of the ship.", "sea animals watched from a boat"],
        ],
        "absent": [
            "repairing a computer", "a wedding in the mountains", "how to play chess",
            "elephants in the zoo", "an operation on the knee", "the price of gold",
            "learning to swim", "a broken telephone", "space travel to Mars", "a bank robbery",
            "horse racing", "knitting a jumper", "volcano erupting", "tax declaration",
            "a xylophone", "dinosaur skeleton", "haircut", "password", "a birthday cake",
            "wild strawberries", "chemistry lesson", "an earthquake", "the royal family", "yoga",
        ],
    },
    "held-out": {
        "said": [
            ["I have been driving this taxi for thirty years.", "a cab driver talks about his work"],
            ["The cathedral was destroyed by fire in the war.", "a church burnt down"],
            ["You should never mix bleach with vinegar.", "dangerous cleaning products"],
            ["My daughter was born on a Sunday night.", "the birth of a girl"],
            ["The bees have not produced any honey this year.", "insects and a poor harvest"],
            ["We walked along the beach until sunset.", "a stroll by the sea in the evening"],
            ["The company wants to sell more electric cars.", "battery vehicles as a business"],
            ["Turn left after the petrol station.", "giving directions to a driver"],
            ["He broke his leg while skiing in Austria.", "an accident on the slopes"],
            ["The teacher asked everyone to open their books.", "pupils in a classroom lesson"],
            ["The voters rejected the plan by a small majority.", "result of a referendum"],
            ["Add two eggs and stir until the dough is smooth.", "baking instructions"],
            ["The night sky was full of stars over the desert.", "astronomy far from the city lights"],
            ["Her novel has been translated into twenty languages.", "a successful book by a writer"],
            ["The roof leaks whenever it rains hard.", "water comes into the house"],
            ["Scientists found a new kind of frog in the rainforest.", "discovery of an unknown animal"],
            ["They were married for more than sixty years.", "a long life together as a couple"],
            ["The police stopped the truck at the border.", "officers checking a lorry"],
            ["Wolves have returned to these forests.", "predators live here again"],
            ["The photographs were taken from a balloon.", "aerial pictures"],
            ["I drink my coffee without milk or sugar.", "a black hot beverage"],
            ["The hospital has not enough nurses.", "a shortage of medical staff"],
            ["The singer forgot the words of her own song.", "a performer's mistake on stage"],
            ["It took them three days to climb the mountain.", "reaching the summit"],
        ],
        "absent": [
            "a lost suitcase at the airport", "repairing shoes", "feeding penguins",
            "the stock market crash", "playing the violin", "a tooth ache", "growing tomatoes",
            "submarine", "a circus clown", "internet connection problems", "a castle and a king",
            "shark attack", "parking ticket", "a game of tennis", "carpentry", "dragon",
            "moving into a new flat", "a snowman", "quantum physics", "a lawyer in court",
            "fireworks", "an umbrella", "counting sheep", "dentist",
        ],
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cosines:
    """Of each query the cosine to every sentence; `present` is square, its diagonal the truth."""

    present: np.ndarray
    absent: np.ndarray

    def figures(self, floor: float) -> dict[str, float]:
        """Recall and false hits with this floor."""
        right = np.diag(self.present)
        rank = (self.present > right[:, None]).sum(1)
        kept = right >= floor
        return {
            "floor": floor,
            "recall@1": float(np.mean(kept & (rank == 0))),
            f"recall@{TOP}": float(np.mean(kept & (rank < TOP))),
            "recall@1 without a floor": float(np.mean(rank == 0)),
            "absent queries with a hit": float(np.mean(self.absent.max(1) >= floor)),
            "wrong sentences a query": float(np.mean((self.present >= floor).sum(1) - kept)),
        }


def cosines(model: SentenceModel, truth: dict[str, list], others: list[str]) -> Cosines:
    """Encode a set; `others` are sentences that no query means."""
    said = model.encode_texts([text for text, _ in truth["said"]] + others)
    present = model.encode_texts([query for _, query in truth["said"]])
    absent = model.encode_texts(truth["absent"])
    return Cosines(present @ said.T, absent @ said.T)


def main() -> None:
    """Measure, tell and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="labelled sets instead of our own")
    parser.add_argument("--sweep", action="store_true", help="floors on the set they are chosen on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dam-meaning-") as name:
        settings = load_settings(Path(name)).model_copy(update={"profile": "bundled"})
        model = open_sentence(settings)
        if options.sweep:
            found = cosines(model, SETS["tune"], [])
            for floor in np.arange(0.15, 0.5, 0.025):
                tell(str({n: round(v, 3) for n, v in found.figures(float(floor)).items()}))
            return
        if options.folder:
            for path in sorted(options.folder.glob("*.json")):
                figures = cosines(model, json.loads(path.read_text()), [])
                keep(f"meaning {path.stem}", figures.figures(model.space.text_floor), str(path))
            return
        others = [text for text, _ in SETS["tune"]["said"]]
        found = cosines(model, SETS["held-out"], others)
        keep(
            "meaning",
            found.figures(model.space.text_floor),
            "24 sentences among 48, paraphrases, 24 absent queries; MiniLM, written by hand",
        )


if __name__ == "__main__":
    main()
