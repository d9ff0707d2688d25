// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that does to its caller what it can, once it is told to. FOR TESTS ONLY.
contract HostileToken is ERC20("Hostile", "HOST") {
    enum Manner {
        Fair,
        BurnAllGas,
        NeedGas,
        ReturnBomb,
        RevertBomb,
        ShortAnswer,
        OddAnswer,
        SendMore,
        TakeFromEscrow,
        NoBalance
    }

    Manner public manner;
    uint256 public gasNeeded;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setManner(Manner newManner) external {
        manner = newManner;
    }

    /// @notice Refuse a transfer that begins with less gas than this.
    function setGasNeeded(uint256 amount) external {
        manner = Manner.NeedGas;
        gasNeeded = amount;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        misbehave();
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        misbehave();
        if (manner == Manner.SendMore) _mint(to, 1);
        if (manner == Manner.TakeFromEscrow) {
            _burn(to, 1);
            return true;
        }
        return super.transferFrom(from, to, amount);
    }

    function balanceOf(address account) public view override returns (uint256) {
        if (manner == Manner.NoBalance) {
            assembly {
                return(0, 0)
            }
        }
        return super.balanceOf(account);
    }

    function misbehave() private view {
        Manner current = manner;
        if (current == Manner.BurnAllGas) {
            assembly {
                invalid()
            }
        } else if (current == Manner.NeedGas) {
            require(gasleft() >= gasNeeded, "more gas");
        } else if (current == Manner.ReturnBomb) {
            // As much memory as the gas can pay for, given back as the answer.
            assembly {
                return(0, mul(gas(), 2))
            }
        } else if (current == Manner.RevertBomb) {
            assembly {
                revert(0, mul(gas(), 2))
            }
        } else if (current == Manner.ShortAnswer) {
            assembly {
                mstore(0, not(0))
                return(0, 31)
            }
        } else if (current == Manner.OddAnswer) {
            assembly {
                mstore(0, 2)
                return(0, 32)
            }
        }
    }
}
