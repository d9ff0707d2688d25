// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that says one thing and does another, once it is told to. FOR TESTS ONLY.
contract LyingToken is ERC20("Lying", "LIE") {
    enum Manner {
        Honest,
        MoveAndDeny,
        AffirmAndKeep,
        SayMore,
        SayLess
    }

    Manner public manner;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice Take from an account, as a seizure or a falling rebase does.
    function burn(address from, uint256 amount) external {
        _burn(from, amount);
    }

    function setManner(Manner newManner) external {
        manner = newManner;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return manner == Manner.AffirmAndKeep || (super.transfer(to, amount) && manner != Manner.MoveAndDeny);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return manner == Manner.AffirmAndKeep || (super.transferFrom(from, to, amount) && manner != Manner.MoveAndDeny);
    }

    function balanceOf(address account) public view override returns (uint256) {
        uint256 truth = super.balanceOf(account);
        if (manner == Manner.SayMore) return 2 * truth;
        return manner == Manner.SayLess ? truth / 2 : truth;
    }
}
