// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that misbehaves on request. FOR TESTS ONLY: anyone mints and anyone sets its moods.
contract MoodyToken is ERC20 {
    mapping(address account => bool) public blocked;
    bool public paused;
    uint256 public feeBps;
    bool public returnFalse;
    uint256 public hunger;

    uint8 private immutable DECIMALS;

    error AccountBlocked(address account);
    error TokenPaused();

    constructor(string memory name, string memory symbol, uint8 decimals_) ERC20(name, symbol) {
        DECIMALS = decimals_;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice Refuse every transfer from and to an account, as USDC does.
    function block(address account, bool isBlocked) external {
        blocked[account] = isBlocked;
    }

    /// @notice Refuse every transfer.
    function setPaused(bool isPaused) external {
        paused = isPaused;
    }

    /// @notice Burn a part of every transfer, in hundredths of a percent.
    function setFeeBps(uint256 newFeeBps) external {
        feeBps = newFeeBps;
    }

    /// @notice Move nothing and answer `false` instead of reverting.
    function setReturnFalse(bool answersFalse) external {
        returnFalse = answersFalse;
    }

    /// @notice Use so much more gas for every transfer in a transaction, and none of it where one is only tried.
    function setHunger(uint256 gas) external {
        hunger = gas;
    }

    function decimals() public view override returns (uint8) {
        return DECIMALS;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !returnFalse && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return !returnFalse && super.transferFrom(from, to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        bool isTransfer = from != address(0) && to != address(0);
        if (isTransfer) {
            if (paused) revert TokenPaused();
            if (blocked[from]) revert AccountBlocked(from);
            if (blocked[to]) revert AccountBlocked(to);
            if (hunger != 0 && tx.gasprice != 0) {
                for (uint256 left = gasleft(); left - gasleft() < hunger;) {}
            }
        }
        uint256 fee = isTransfer ? amount * feeBps / 10_000 : 0;
        if (fee != 0) super._update(from, address(0), fee);
        super._update(from, to, amount - fee);
    }
}
