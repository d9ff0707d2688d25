// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @dev The choices of one action, all drawn from the one number the fuzzer gave it.
/// They follow each other by one multiplication: a hash for each is too dear in ten million actions.
struct Dice {
    uint256 seed;
}

/// @dev One more than a multiple of four, so that no number comes twice before all others came.
uint256 constant FACTOR = 0x5851f42d4c957f2d14057b7ef767814f9fb21c651e98df25d1342543de82ef95;

using {roll, between, chance} for Dice global;

/// @dev A number below `sides`.
function roll(Dice memory dice, uint256 sides) pure returns (uint256) {
    unchecked {
        dice.seed = dice.seed * FACTOR + 1;
    }
    return (dice.seed >> 128) % sides;
}

function between(Dice memory dice, uint256 least, uint256 most) pure returns (uint256) {
    return least + dice.roll(most - least + 1);
}

/// @dev True in so many of a hundred throws.
function chance(Dice memory dice, uint256 percent) pure returns (bool) {
    return dice.roll(100) < percent;
}
